"""Folders of images that are not what a dataset takes them for."""

import os
from collections.abc import Callable
from pathlib import Path

from wrong_input import Case

PAIRING = "eva predict pairing/bach"
PREDICT = "eva predict predict/bach"
BACH = "ICIAR2018_BACH_Challenge/Photos"


def _bach(change: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """Returns what copies BACH as links and changes its folder of images."""

    def spoil(folder: Path, shared: Path) -> None:
        for source in sorted((shared / "bach" / BACH).glob("*/*.tif")):
            link = folder / "bach" / BACH / source.parent.name / source.name
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, link)
        change(folder / "bach" / BACH)

    return spoil


def _replaced(name: str, content: bytes) -> Callable[[Path], None]:
    def change(photos: Path) -> None:
        (photos / name).unlink()
        (photos / name).write_bytes(content)

    return change


def _of_bach(wrong: str, change: Callable[[Path], object], names: str) -> Case:
    return Case(wrong, PAIRING, {"DATA_ROOT": "bach"}, spoil=_bach(change), names=names)


def _of_predict(wrong: str, files: dict[str, bytes], names: str) -> Case:
    variables = {"DATA_ROOT": "images", "CHECKPOINT": "{shared}/clip_it/session"}
    return Case(wrong, PREDICT, variables, files, names=names)


CASES = [
    Case("the folder is not there", PAIRING, {"DATA_ROOT": "none"}),
    Case("a file in the place of the folder", PAIRING, {"DATA_ROOT": "bach"}, {"bach": b""}),
    Case("an empty folder", PAIRING, {"DATA_ROOT": "bach"}, {"bach/readme.txt": b""}),
    _of_bach("an image is missing", lambda p: (p / "Benign/b001.tif").unlink(), "b001.tif"),
    _of_bach("a copy of an image", lambda p: os.link(p / "Normal/n001.tif",
             p / "Normal/n001 (1).tif"), "n001 (1).tif"),
    _of_bach("a class is missing", lambda p: (p / "InSitu").rename(p / "In situ"), "InSitu"),
    _of_bach("an empty image", _replaced("Benign/b002.tif", b""), "b002.tif"),
    _of_bach("text in the place of an image", _replaced("Benign/b003.tif", b"zanzibar"),
             "b003.tif"),
    _of_bach("an image cut off", lambda p: _replaced("Benign/b004.tif",
             (p / "Benign/b004.tif").read_bytes()[:600])(p), "b004.tif"),
    Case("an image cut off, met in training", "eva fit unimodal/bach", {"DATA_ROOT": "bach"},
         spoil=_bach(lambda p: _replaced("Benign/b037.tif",
         (p / "Benign/b037.tif").read_bytes()[:6000])(p)), names="b037.tif"),
    _of_predict("no image in the folder", {"images/notes.txt": b"zanzibar"}, "DATA_ROOT"),
    _of_predict("text that is called .png", {"images/a.png": b"zanzibar"}, "a.png"),
    Case("no folder to predict", PREDICT, {"DATA_ROOT": "images",
         "CHECKPOINT": "{shared}/clip_it/session"}, names="DATA_ROOT"),
    Case("another dataset's folder", "eva fit unimodal/crc", {"DATA_ROOT": "{shared}/bach"},
         names="DATA_ROOT"),
    Case("a dataset of one file that is not there", "eva fit unimodal/patch_camelyon",
         {"DATA_ROOT": "pcam"}, {"pcam/readme.txt": b""}, names="DATA_ROOT"),
]  # fmt: skip
