"""A leak in eva's own layout reaches the report's page."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from eva.vision.data.datasets import BACH
from PIL import Image

from clipit_eva.analysis.report import Options, write_report

TARGETS = np.arange(132) % 4


@pytest.fixture
def bach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """400 images of noise, 100 a class."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(1)
    photos = tmp_path / "data" / "ICIAR2018_BACH_Challenge" / "Photos"
    for kind, prefix in (("Benign", "b"), ("InSitu", "is"), ("Invasive", "iv"), ("Normal", "n")):
        (photos / kind).mkdir(parents=True)
        for number in range(1, 101):
            coarse = rng.integers(60, 230, (8, 8, 3), np.uint8)
            image = Image.fromarray(coarse).resize((32, 32))
            image.save(photos / kind / f"{prefix}{number:03d}.tif")
    return photos


@pytest.fixture
def runs(bach: Path, write_run, tmp_path: Path) -> Path:
    """Two runs by the shipped protocol on these images."""

    def dataset(split: str) -> dict:
        arguments = {"root": str(tmp_path / "data"), "split": split, "transforms": "gone"}
        return {"class_path": "eva.vision.data.datasets.BACH", "init_args": arguments}

    def side(part: str) -> dict:
        arguments = {"part": part, "dataset": dataset("train")}
        return {"class_path": "clipit_eva.data.HoldOut", "init_args": arguments}

    datasets = {"train": side("train"), "val": side("hold_out"), "test": dataset("val")}
    for method in ("unimodal", "clip_it"):
        name = "CLIPITModule" if method == "clip_it" else "eva.HeadModule"
        config = {"model": {"class_path": name}, "data": {"datasets": datasets}}
        write_run(method, TARGETS, TARGETS, provenance={"config": config})
    return tmp_path / "runs"


def checks(runs: Path, output: Path) -> tuple[dict[str, str], str]:
    page = write_report(runs, output, Options(n_resamples=1000)).read_text()
    rows = pd.read_csv(output / "leakage.csv")
    return dict(zip(rows["check"], rows["found"], strict=True)), page


def test_clean_images(runs: Path, tmp_path: Path) -> None:
    found, page = checks(runs, tmp_path / "report")
    images = {check: word for check, word in found.items() if check.startswith("the same image")}
    assert list(images.values()) == ["no"] * 3
    assert "yes" not in found.values()
    assert "Leakage on" not in page


def test_a_copied_image_stands_among_the_warnings(runs: Path, bach: Path, tmp_path: Path) -> None:
    sides = {split: BACH(str(tmp_path / "data"), split) for split in ("train", "val")}
    for side in sides.values():
        side.setup()
    copy = sides["val"].filename(7)
    shutil.copy(bach / sides["train"].filename(0), bach / copy)
    found, page = checks(runs, tmp_path / "report")
    leaks = [check for check, word in found.items() if word == "yes"]
    assert len(leaks) == 1
    assert leaks[0].endswith("and test")
    warnings = page.split('<section id="warnings">')[1].split("</section>")[0]
    assert "Leakage on BACH" in warnings
    assert copy in warnings


def test_images_that_are_gone_are_not_called_clean(runs: Path, bach: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    found, _ = checks(runs, tmp_path / "report")
    assert found["the same image in two splits"] == "not known"


def test_a_folder_of_tables_alone_is_without_images(runs: Path, bach: Path, tmp_path: Path) -> None:
    shutil.rmtree(bach)
    (bach.parents[1] / "slides.csv").write_text("wsi\n")
    found, page = checks(runs, tmp_path / "report")
    assert found["the same image in two splits"] == "not known"
    assert "the images are not where the run found them" in page


def test_a_damaged_image_is_named(runs: Path, bach: Path, tmp_path: Path) -> None:
    (bach / "Benign" / "b003.tif").write_bytes(b"II*\0 cut off")
    found, page = checks(runs, tmp_path / "report")
    assert "an image cannot be read" in page
    assert found["the same image in training and test"] == "not known"
