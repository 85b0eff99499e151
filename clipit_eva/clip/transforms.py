"""A CLIP model's image preprocessing as a transform of eva's datasets."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torchvision.transforms.v2 import functional


class CLIPPreprocess:
    """Replaces a raw image by the CLIP model's input and leaves the target alone.

    The result is bit-equal to the model's own preprocessing of the PIL image. Nothing is looked up
    before the first image, so that configurations parse without the model, and no weights are
    read, so that it is light in dataset workers.
    """

    def __init__(self, model: str, checkpoint: str | None = None) -> None:
        """Notes which model's preprocessing to use; arguments as for `clip.loading.load_clip`."""
        self.model = model
        self.checkpoint = checkpoint
        self._preprocess: Callable[[Image.Image], torch.Tensor] | None = None

    def __call__(self, image: torch.Tensor, target: Any) -> tuple[torch.Tensor, Any]:
        """Returns the model's input [3, H', W'], float32, of a raw image [3, H, W], uint8.

        Raises:
            TypeError: The image is not raw: another transform ran before.
            InputError: The model is unknown or not accessible.
        """
        if image.dtype != torch.uint8:
            raise TypeError(
                f"CLIPPreprocess needs the raw uint8 image, not {image.dtype}; put it first"
            )
        if self._preprocess is None:
            from clipit_eva.clip.loading import load_preprocess

            self._preprocess = load_preprocess(self.model, self.checkpoint)
        return self._preprocess(functional.to_pil_image(image)), target
