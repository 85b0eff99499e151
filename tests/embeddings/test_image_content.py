"""Images known by what is in their files."""

import os
from pathlib import Path

import numpy as np
import pytest
from eva.vision.data.datasets import BACH, PatchCamelyon
from PIL import Image

from clipit_eva import files
from clipit_eva.embeddings.image_content import content_digest


@pytest.fixture
def bach(tmp_path: Path) -> BACH:
    photos = tmp_path / "data" / "ICIAR2018_BACH_Challenge" / "Photos"
    for kind, prefix in (("Benign", "b"), ("InSitu", "is"), ("Invasive", "iv"), ("Normal", "n")):
        (photos / kind).mkdir(parents=True)
        for number in range(1, 101):
            pixels = np.full((2, 2, 3), number, np.uint8)
            Image.fromarray(pixels).save(photos / kind / f"{prefix}{number:03d}.tif")
    dataset = BACH(str(tmp_path / "data"), split="train")
    dataset.setup()
    return dataset


def photo(dataset: BACH, index: int) -> Path:
    return Path(dataset._dataset_path) / dataset.filename(index)


def test_an_image_replaced_under_its_name_is_noticed(bach: BACH, tmp_path: Path) -> None:
    before = content_digest(bach, tmp_path)
    assert before == content_digest(bach, tmp_path)
    path = photo(bach, 5)
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as `cp -p` and `rsync -t` may
    assert content_digest(bach, tmp_path) != before
    content[-1] ^= 1
    path.write_bytes(content)
    assert content_digest(bach, tmp_path) == before


def test_two_images_that_change_places_are_noticed(bach: BACH, tmp_path: Path) -> None:
    before = content_digest(bach, tmp_path)
    first, second = photo(bach, 0), photo(bach, 1)
    spare = first.with_suffix(".spare")
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
    assert content_digest(bach, tmp_path) != before


def test_a_file_is_read_again_only_if_it_may_have_changed(
    bach: BACH, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = files.sha256_file
    monkeypatch.setattr(files, "sha256_file", lambda path: done.append(str(path)) or real(path))
    content_digest(bach, tmp_path)
    assert len(done) == len(bach)
    done.clear()
    content_digest(bach, tmp_path)
    assert not done
    os.utime(photo(bach, 3))
    content_digest(bach, tmp_path)
    assert done == [str(photo(bach, 3))]
    (record,) = tmp_path.glob("content-*.parquet")
    record.write_bytes(b"damaged")
    done.clear()
    content_digest(bach, tmp_path)
    assert len(done) == len(bach)


def test_another_folder_with_the_same_files_is_the_same(bach: BACH, tmp_path: Path) -> None:
    before = content_digest(bach, tmp_path)
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = BACH(str(tmp_path / "moved"), split="train")
    moved.setup()
    assert content_digest(moved, tmp_path) == before


def test_the_file_of_all_images_counts(tmp_path: Path) -> None:
    path = tmp_path / "camelyonpatch_level_2_split_valid_x.h5"
    path.write_bytes(b"some images")
    dataset = PatchCamelyon(str(tmp_path), split="val")
    before = content_digest(dataset, tmp_path)
    path.write_bytes(b"others here")
    assert content_digest(dataset, tmp_path) != before
