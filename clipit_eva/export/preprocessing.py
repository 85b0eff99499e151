"""What happens to an image before a run's model sees it."""

from collections.abc import Mapping
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig


def describe(transforms: RecordedConfig) -> dict[str, Any]:
    """Returns the preprocessing of a recorded `ResizeAndCrop`, in words that need no eva.

    Returns:
        `resize` (pixels of the shorter side, or [height, width]), `interpolation`, `antialias`,
        `crop` (at the centre, pixels), `scale` (of 8-bit values), `mean` and `std` (a channel);
        `exif_orientation`: before all that, images are turned as their EXIF tag says.

    Raises:
        InputError: The run's images were transformed in another way.
    """
    if transforms.class_name != "ResizeAndCrop":
        raise InputError(
            f"the run's test images are transformed by {transforms.class_path or 'nothing'}; "
            "export describes eva.vision.data.transforms.common.ResizeAndCrop"
        )
    arguments = transforms.arguments
    return {
        "exif_orientation": "applied",
        "resize": arguments["size"],
        "interpolation": "bilinear",
        "antialias": True,
        "crop": arguments["size"],
        "scale": 1 / 255,
        "mean": list(arguments["mean"]),
        "std": list(arguments["std"]),
    }


def image_size(preprocessing: Mapping[str, Any]) -> tuple[int, int]:
    """Returns height and width of the images that the model sees, in pixels."""
    crop = preprocessing["crop"]
    height, width = crop if isinstance(crop, list) else (crop, crop)
    return int(height), int(width)
