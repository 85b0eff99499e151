"""Folders of datasets whose splits go by position."""

from pathlib import Path

import pytest
from eva.vision.data.datasets import BACH

from clipit_eva.errors import InputError
from clipit_eva.eva.dataset_folders import check_folders

PHOTOS = "ICIAR2018_BACH_Challenge/Photos"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for kind, prefix in (("Benign", "b"), ("InSitu", "is"), ("Invasive", "iv"), ("Normal", "n")):
        folder = tmp_path / PHOTOS / kind
        folder.mkdir(parents=True)
        for number in range(1, 101):
            (folder / f"{prefix}{number:03d}.tif").touch()
    return tmp_path


def test_bach_as_published_is_taken(root: Path) -> None:
    (root / PHOTOS / "Thumbs.db").touch()
    (root / PHOTOS / "Benign" / "notes.txt").touch()
    check_folders([BACH(str(root), split=split) for split in ("train", "val")])


def test_a_folder_of_links_is_taken(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (root / PHOTOS / "Benign").rename(target)
    (root / PHOTOS / "Benign").symlink_to(target)
    check_folders([BACH(str(root), split="train")])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("InSitu/is050.tif", None, r"InSitu/is050\.tif is missing"),
        (None, "Benign/._b001.tif", r"Benign/\._b001\.tif is none of BACH's"),
        (None, "Normal/n101.tif", r"Normal/n101\.tif is none"),
        (None, "Normal/copies/n001.tif", r"Normal/copies/n001\.tif is none"),
        ("Benign/b001.tif", "Benign/c001.tif", r"Benign/b001\.tif is missing"),
        ("Benign/b001.tif", "Invasive/b001.tif", r"Benign/b001\.tif is missing"),
    ],
)
def test_a_file_more_fewer_or_renamed_is_refused(
    root: Path, old: str | None, new: str | None, message: str
) -> None:
    if old is not None:
        (root / PHOTOS / old).unlink()
    if new is not None:
        (root / PHOTOS / new).parent.mkdir(exist_ok=True)
        (root / PHOTOS / new).touch()
    with pytest.raises(InputError, match=message):
        check_folders([BACH(str(root), split="val")])
