"""Preprocessing in words, against eva's transform."""

import copy
from typing import Any

import pytest
import torch
from eva.vision.data.transforms.common import ResizeAndCrop
from torchvision.transforms import v2

from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.export.preprocessing import describe as describe_preprocessing
from clipit_eva.export.preprocessing import image_size

from .conftest import dataset, describe


@pytest.mark.parametrize("size", [32, [32, 48]])
def test_description_is_what_eva_does(size: Any) -> None:
    recorded = dataset(64, "root")["init_args"]["transforms"]
    recorded["init_args"]["size"] = size
    about = describe_preprocessing(RecordedConfig(recorded))
    image = torch.randint(256, (3, 50, 70), generator=torch.Generator().manual_seed(0)).byte()
    resize = v2.Resize(
        about["resize"],
        v2.InterpolationMode(about["interpolation"]),
        antialias=about["antialias"],
    )
    found = v2.CenterCrop(about["crop"])(resize(image)) * about["scale"]
    found = v2.Normalize(about["mean"], about["std"])(found)
    expected = ResizeAndCrop(**recorded["init_args"])(image)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert about["exif_orientation"] == "applied"  # `data.image_files` and eva's reader turn images
    assert image_size(about) == tuple(expected.shape[1:])


def test_transforms_are_those_of_the_wrapped_dataset() -> None:
    images = dataset(64, "root")
    wrapped = describe("clipit_eva.data.HoldOut", part="hold_out", dataset=copy.deepcopy(images))
    for recorded in (wrapped, images):
        assert RecordedConfig(recorded).innermost.arguments == images["init_args"]


def test_other_transforms_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"transformed by torchvision.v2.Compose; export describes"
    ):
        describe_preprocessing(RecordedConfig(describe("torchvision.v2.Compose")))
    with pytest.raises(InputError, match="transformed by nothing"):
        describe_preprocessing(RecordedConfig(None))
