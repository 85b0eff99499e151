"""Folders of images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from clipit_eva.data.image_folder import ImageFolder
from clipit_eva.errors import InputError


def write(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (5, 4), colour).save(path)


def test_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["b.png", "a/z.TIF", "a/c.tiff", "a/b/1.jpg", "c.JPEG", "d.bmp"]
    for position, name in enumerate(names):
        write(tmp_path / name, (position * 40, 10, 250))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    dataset = ImageFolder(str(tmp_path), ["x", "y"])
    dataset.setup()
    found = [dataset.filename(index) for index in range(len(dataset))]
    assert found == ["a/b/1.jpg", "a/c.tiff", "a/z.TIF", "b.png", "c.JPEG", "d.bmp"]
    for index, name in enumerate(found):
        image = dataset[index][0]
        assert image.shape == (3, 4, 5)
        expected = np.asarray(Image.open(tmp_path / name)).transpose(2, 0, 1)
        assert np.array_equal(np.asarray(image), expected) or name.lower().endswith(("jpg", "jpeg"))
    assert dataset.classes == ["x", "y"]
    assert dataset.class_to_idx == {"x": 0, "y": 1}


def test_targets_are_unknown_and_samples_collate(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write(tmp_path / name, (1, 2, 3))
    dataset = ImageFolder(str(tmp_path), ["x"], lambda image, target: (image.float(), target))
    dataset.setup()
    images, targets, metadata = default_collate([dataset[0], dataset[1]])
    assert images.dtype == torch.float32
    assert targets.tolist() == [-1, -1]
    assert metadata == {}


def test_folder_without_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"DATA_ROOT={tmp_path}/no is no folder"):
        ImageFolder(str(tmp_path / "no"), []).setup()
    with pytest.raises(InputError, match=r"holds no image; accepted are \.tif"):
        ImageFolder(str(tmp_path), []).setup()
