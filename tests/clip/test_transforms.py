import pickle
from collections.abc import Callable

import jsonargparse
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from clipit_eva.clip.loading import load_clip
from clipit_eva.clip.transforms import CLIPPreprocess
from clipit_eva.errors import InputError


def random_pixels(height, width):
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("size", [(41, 50), (96, 96), (300, 31)])
def test_the_transform_is_bit_equal_to_the_models_preprocessing(tiny_folder, size):
    pixels = random_pixels(*size)
    transform = CLIPPreprocess(str(tiny_folder))
    target = torch.tensor(3)
    image, same = transform(tv_tensors.Image(pixels), target)
    as_pil = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    assert torch.equal(image, load_clip(str(tiny_folder)).preprocess(as_pil))
    assert same is target
    assert type(image) is torch.Tensor
    assert image.dtype == torch.float32


def test_a_config_parses_without_the_model_and_fails_at_the_first_image():
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--transforms", type=Callable | None)  # as eva's datasets declare it
    arguments = [
        "--transforms=clipit_eva.clip.transforms.CLIPPreprocess",
        "--transforms.model=hf-hub:nobody/absent",
        "--transforms.checkpoint=null",
    ]
    transform = parser.instantiate_classes(parser.parse_args(arguments)).transforms
    with pytest.raises(InputError, match="nobody/absent is not in the local"):
        transform(tv_tensors.Image(random_pixels(8, 8)), 0)


def test_it_survives_the_way_to_a_worker_before_and_after_its_first_use(tiny_folder):
    image = tv_tensors.Image(random_pixels(40, 40))
    transform = CLIPPreprocess(str(tiny_folder))
    fresh = pickle.loads(pickle.dumps(transform))
    expected, _ = transform(image, None)
    used = pickle.loads(pickle.dumps(transform))
    for copy in (fresh, used):
        assert torch.equal(copy(image, None)[0], expected)


def test_an_image_that_was_already_scaled_is_refused(tiny_folder):
    with pytest.raises(TypeError, match="put it first"):
        CLIPPreprocess(str(tiny_folder))(torch.rand(3, 40, 40), 0)
