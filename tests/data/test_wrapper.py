"""What all wrappers hand on."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from eva.vision.data.datasets import vision
from PIL import Image
from torch.utils.data import DataLoader

from clipit_eva.data.hold_out import HoldOut
from clipit_eva.data.image_folder import ImageFolder
from clipit_eva.data.wrapper import DatasetWrapper, eva_dataset, eva_index


class Reversed(DatasetWrapper):
    """The samples from last to first."""

    def inner_index(self, index: int) -> int:
        return len(self) - 1 - index


MakeSlides = Callable[..., vision.VisionDataset]


@pytest.fixture
def nested(slides: MakeSlides) -> DatasetWrapper:
    dataset = Reversed(HoldOut(slides(), "train"))
    dataset.setup()
    return dataset


def test_every_method_goes_to_the_dataset_inside(slides: MakeSlides) -> None:
    inner: Any = slides(transforms=lambda image, target: (image + 1, target + 10))
    dataset = Reversed(inner)
    assert len(dataset) == 0  # not configured yet, as inside
    dataset.prepare_data()
    dataset.setup()
    dataset.teardown()
    assert inner.calls == ["prepare", "configure", "validate", "teardown"]
    assert len(dataset) == 20
    assert dataset.classes == inner.classes
    assert dataset.class_to_idx == inner.class_to_idx
    for index in (0, 7, 19):
        other = 19 - index
        assert dataset.filename(index) == inner.filename(other) == f"slide_{other}.tif"
        assert torch.equal(dataset.load_data(index), inner.load_data(other))
        assert torch.equal(dataset.load_target(index), inner.load_target(other))
        assert dataset.load_metadata(index) == inner.load_metadata(other)
        image, target, metadata = dataset[index]
        expected = inner[other]
        assert torch.equal(image, expected[0])
        assert torch.equal(image, inner.load_data(other) + 1)
        assert target == expected[1]
        assert metadata == expected[2]


def test_every_public_method_of_eva_datasets_is_handed_on() -> None:
    """A method that eva adds to its base class would be shadowed by the base's own."""
    ours = {name for base in DatasetWrapper.__mro__[:1] for name in vars(base)}
    base = {
        name
        for cls in vision.VisionDataset.__mro__
        if cls.__module__.startswith("eva.")
        for name in vars(cls)
        if not name.startswith("_") or name in ("__getitem__", "__len__")
    }
    assert base - ours == {"configure", "validate"}  # `setup` calls the inner dataset's


def test_indices_map_through_nested_wrappers(nested: DatasetWrapper) -> None:
    inner = eva_dataset(nested)
    indices = [eva_index(nested, position) for position in range(len(nested))]
    assert indices == sorted(indices, reverse=True)
    for position, index in enumerate(indices):
        assert nested.filename(position) == inner.filename(index)
        assert torch.equal(nested[position][0], inner[index][0])
    assert eva_index(inner, 5) == 5
    assert eva_dataset(inner) is inner


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_behave_alike(nested: DatasetWrapper, clone: Callable[[Any], Any]) -> None:
    other = clone(nested)
    assert len(other) == len(nested)
    for ours, theirs in zip(other, nested, strict=False):
        assert torch.equal(ours[0], theirs[0])
        assert ours[1:] == theirs[1:]


@pytest.mark.slow
def test_workers_of_a_data_loader_read_it(tmp_path: Path) -> None:
    # Classes of the package alone: a spawned worker cannot import those of a test module.
    for shade in range(6):
        Image.new("RGB", (4, 4), (40 * shade,) * 3).save(tmp_path / f"{shade}.png")
    dataset = HoldOut(ImageFolder(str(tmp_path), ["any"]), "train")
    dataset.setup()
    loader = DataLoader(dataset, batch_size=4, num_workers=1, multiprocessing_context="spawn")
    images = torch.cat([images for images, *_ in loader])
    assert torch.equal(images, torch.stack([dataset[n][0] for n in range(len(dataset))]))
