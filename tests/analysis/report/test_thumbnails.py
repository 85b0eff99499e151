"""Thumbnails against the images that eva's own dataset classes read, in their own layouts."""

import base64
import io
import os

import h5py
import numpy as np
import pytest
from PIL import Image

from clipit_eva.analysis.reading.runs import read_run
from clipit_eva.analysis.report import Options, write_report
from clipit_eva.analysis.report.thumbnails import MISSES, SIDE, Thumbnails

CRC_CLASSES = ["ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM"]


def photo(path, number: int, size=(48, 36)) -> None:
    """Writes an image in one colour, told by a number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (number % 251, number // 251, 90)).save(path)


def make_bach(root):
    """400 images, 100 a class: eva splits them by position."""
    prefixes = {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}
    for place, (name, prefix) in enumerate(prefixes.items()):
        for number in range(100):
            path = root / "ICIAR2018_BACH_Challenge/Photos" / name / f"{prefix}{number + 1:03d}.tif"
            photo(path, 100 * place + number)
    return "val"


def make_crc(root):
    """Two images a class; other images of the same names in the training folder."""
    for part, first in (("NCT-CRC-HE-100K", 0), ("CRC-VAL-HE-7K", 500)):
        for place, name in enumerate(CRC_CLASSES):
            for number in range(2):
                photo(root / part / name / f"{name}-{number}.tif", first + 2 * place + number)
    return "val"


def make_patch_camelyon(root):
    """Eight images; those of another split are black."""
    images = np.zeros((8, 96, 96, 3), dtype="u1")
    images[..., 0] = 25 * np.arange(8).reshape(8, 1, 1)
    for split, content in (("test", images), ("valid", np.zeros_like(images))):
        stem = f"camelyonpatch_level_2_split_{split}"
        with h5py.File(root / f"{stem}_x.h5", "w") as file:
            file["x"] = content
        with h5py.File(root / f"{stem}_y.h5", "w") as file:
            file["y"] = (np.arange(8) % 2).astype("u1").reshape(-1, 1, 1, 1)
    return "test"


LAYOUTS = {"BACH": make_bach, "CRC": make_crc, "PatchCamelyon": make_patch_camelyon}


def configuration(name, root, split):
    dataset = {
        "class_path": f"eva.vision.datasets.{name}",
        "init_args": {"root": str(root), "split": split},
    }
    return {
        "model": {"init_args": {}},
        "data": {"init_args": {"datasets": {"init_args": {"test": dataset}}}},
    }


@pytest.fixture
def write_photos(write_run, tmp_path):
    """Writes a run on some files; returns it."""

    def write(names, dataset="BACH", root=None, split="val"):
        targets = np.arange(len(names)) % 2
        facts = {"config": configuration(dataset, root or tmp_path / "data", split)}
        options = {"classes": 2, "dataset": dataset, "filenames": names, "provenance": facts}
        return read_run(write_run("unimodal", targets, targets, **options))

    return write


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.mark.parametrize("name", LAYOUTS)
def test_thumbnails_show_the_images_that_eva_reads(write_photos, tmp_path, name):
    """On each sample, and from a relative root too: the colour is that of eva's own image."""
    from eva.vision.data import datasets

    root = tmp_path / "data"
    root.mkdir()
    split = LAYOUTS[name](root)
    dataset = getattr(datasets, name)(root=str(root), split=split)
    if name == "PatchCamelyon":
        names = [dataset.filename(index) for index in range(8)]
    else:
        dataset.configure()
        names = [dataset.filename(index) for index in range(len(dataset))]
    run = write_photos(names, name, "data", split)
    found = Thumbnails(run)
    for index in range(0, len(names), max(len(names) // 20, 1)):
        shown = pixels(found.uri(names[index]))
        read = np.asarray(dataset.load_data(index)).transpose(1, 2, 0)
        assert max(shown.shape[:2]) == SIDE or shown.shape == read.shape
        colours = [image.reshape(-1, 3).mean(axis=0) for image in (shown, read)]
        np.testing.assert_allclose(*colours, atol=3)  # JPEG
    assert found.uri(names[0] + "9") is None


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_page_shows_them(write_run, tmp_path, name):
    root = tmp_path / "data"
    root.mkdir()
    split = LAYOUTS[name](root)
    names = {
        "BACH": ["Benign/b070.tif", "Normal/n100.tif"],
        "CRC": ["ADI/ADI-0.tif", "TUM/TUM-1.tif"],
        "PatchCamelyon": [f"camelyonpatch_level_2_split_test_x_{index}" for index in (2, 5)],
    }[name]
    targets = np.array([0, 1])
    facts = {"config": configuration(name, root, split)}
    for method, predictions in (("unimodal", 1 - targets), ("clip_it", targets)):
        options = {"classes": 2, "dataset": name, "filenames": names, "provenance": facts}
        write_run(method, targets, predictions, **options)
    shown = Options(n_resamples=1000, thumbnails=True)
    page = write_report(write_run.folder, tmp_path / "report", shown).read_text()
    assert page.count("data:image/jpeg") == 2


def test_other_layouts_are_searched_for(write_photos, tmp_path):
    for number in range(3):
        photo(tmp_path / "data/any/where/a" / f"[{number}] *.png", 10 * number)
    names = [f"a/[{number}] *.png" for number in range(3)]
    found = Thumbnails(write_photos(names, dataset="Own"))
    for number, name in enumerate(names):
        assert pixels(found.uri(name))[..., 0].mean() == pytest.approx(10 * number, abs=3)


def test_of_two_images_of_a_name_neither_is_shown(write_photos, tmp_path):
    for part in ("one", "two"):
        photo(tmp_path / "data" / part / "a.png", 7)
    assert Thumbnails(write_photos(["a.png"], dataset="Own")).uri("a.png") is None


def test_images_that_lie_elsewhere_are_not_looked_for_again_and_again(write_photos, tmp_path):
    (tmp_path / "data").mkdir()
    found = Thumbnails(write_photos(["a.png"], dataset="Own"))
    for number in range(MISSES):
        assert found.uri(f"{number}.png") is None
    photo(tmp_path / "data" / "a.png", 7)
    assert found.uri("a.png") is None


def test_nothing_outside_the_data_is_shown(write_photos, tmp_path):
    (tmp_path / "data").mkdir()
    secret = tmp_path / "outside.png"
    photo(secret, 1)
    found = Thumbnails(write_photos(["a.png"], dataset="Own"))
    assert found.uri("../outside.png") is None
    assert found.uri(str(secret)) is None
    assert found.uri(os.path.relpath(secret)) is None


def test_a_damaged_image_is_left_out(write_photos, tmp_path):
    make_bach(tmp_path / "data")
    path = tmp_path / "data/ICIAR2018_BACH_Challenge/Photos/Benign/b001.tif"
    path.write_bytes(path.read_bytes()[:50])
    assert Thumbnails(write_photos(["Benign/b001.tif"])).uri("Benign/b001.tif") is None
