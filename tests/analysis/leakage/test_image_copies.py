"""Copies of images are found across splits, and nothing else is taken for one."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipit_eva.analysis.leakage import image_copies
from clipit_eva.analysis.leakage.image_copies import find_copies
from clipit_eva.analysis.leakage.split_images import SplitImages
from clipit_eva.data import ImageFolder


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def tissue(seed: int, side: int = 64) -> Image.Image:
    """An image with structure at all scales, in the colours of all others."""
    rng = np.random.default_rng(seed)
    layers = (rng.normal(size=(n, n)) * 400 / n for n in (4, 8, 16, 32))
    grey = sum(np.asarray(Image.fromarray(x).resize((side, side), 2)) for x in layers)
    colour = np.stack([180 + grey, 100 + grey, 160 + grey], axis=-1)
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


def folder(path: Path, images: dict[str, Image.Image]) -> SplitImages:
    path.mkdir()
    for name, image in images.items():
        image.save(path / name)
    dataset = ImageFolder(str(path), ["a", "b"])
    dataset.setup()
    return SplitImages(dataset, np.arange(len(dataset)))


def encoded_again(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return Image.open(buffer)


def test_copies_resized_or_encoded_again_are_found(tmp_path: Path) -> None:
    train = folder(tmp_path / "train", {f"{n:02}.png": tissue(n) for n in range(40)})
    copies = {
        "a.png": tissue(7),
        "b.png": encoded_again(tissue(11)),
        "c.png": tissue(23).resize((40, 40)),
        "d.png": tissue(100),
    }
    assert find_copies(folder(tmp_path / "test", copies), train) == [(0, 7), (1, 11), (2, 23)]


def test_the_smaller_side_may_be_either(tmp_path: Path) -> None:
    many = folder(tmp_path / "many", {f"{n}.png": tissue(n) for n in range(5)})
    few = folder(tmp_path / "few", {"x.png": tissue(3)})
    assert find_copies(many, few) == [(3, 0)]
    assert find_copies(few, many) == [(0, 3)]


def test_other_tissue_and_blank_images_are_no_copies(tmp_path: Path) -> None:
    blank = Image.new("RGB", (64, 64), (240, 238, 241))
    darker = Image.fromarray((np.asarray(tissue(1)) * 0.8).astype(np.uint8))
    first = folder(tmp_path / "a", {f"{n:02}.png": tissue(n) for n in range(30)} | {"z.png": blank})
    second = folder(tmp_path / "b", {"blank.png": blank, "darker.png": darker, "o.png": tissue(99)})
    assert find_copies(first, second) == []


def test_only_the_given_places_count(tmp_path: Path) -> None:
    images = folder(tmp_path / "a", {f"{n}.png": tissue(n % 3) for n in range(6)})
    sides = [SplitImages(images.dataset, np.array(places)) for places in ([0, 1], [2, 3, 5])]
    assert find_copies(*sides) == [(0, 3)]


def test_fingerprints_are_kept_until_a_file_changes(tmp_path: Path, monkeypatch) -> None:
    images = folder(tmp_path / "a", {"x.png": tissue(1), "y.png": tissue(2)})
    before = image_copies.fingerprints(images.dataset)
    monkeypatch.setattr(images.dataset, "load_data", None)  # nothing is read again
    assert np.array_equal(image_copies.fingerprints(images.dataset), before)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tissue(3).save(tmp_path / "a" / "x.png")
    after = image_copies.fingerprints(images.dataset)
    assert not np.array_equal(after[0], before[0])
    assert np.array_equal(after[1], before[1])
