"""Small datasets in the layouts of eva's own, at the lengths that eva demands.

Each image of a class is a link to one small file.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from PIL import Image

Named = tuple[str, int]
"""A file below the root, and its class."""


def _breakhis(root: Path) -> Iterator[Named]:
    patients = {"val": ["18842D", "19979", "15275", "15792"], "train": ["1", "2", "3", "4AB", "5"]}
    for split, length in {"train": 1132, "val": 339}.items():
        for number in range(length):
            kind = number % 4
            benign, name = (("B", "TA"), ("M", "MC"), ("B", "F"), ("M", "DC"))[kind]
            # Patients of one class each: every split has one of all classes, `train` five.
            own = patients[split][kind if split == "val" else number // 4 % 5]
            patient = own if split == "val" else f"{kind}{own}"
            stem = f"SOB_{benign}_{name}-14-{patient}"
            yield f"breast/SOB/{stem}/40X/{stem}-40-{number:04d}.png", kind


def _mhist(root: Path) -> Iterator[Named]:
    rows = []
    for split, length in {"train": 2175, "test": 977}.items():
        for number in range(length):
            rows.append((f"MHIST_{split}{number}.png", ("SSA", "HP")[number % 2], split))
            yield f"images/{rows[-1][0]}", number % 2
    names = ["Image Name", "Majority Vote Label", "Partition"]
    pd.DataFrame(rows, columns=names).to_csv(root / "annotations.csv", index=False)


def _bracs(root: Path) -> Iterator[Named]:
    classes = ("0_N", "1_PB", "2_UDH", "3_FEA", "4_ADH", "5_DCIS", "6_IC")
    for start, (split, length) in enumerate({"train": 3657, "val": 312, "test": 570}.items()):
        for number in range(length):
            name = classes[number % 7]
            slide = f"BRACS_{start}{number // 7 % 20:02d}"
            folder = f"BRACS_RoI/latest_version/{split}/{name}"
            yield f"{folder}/{slide}_{name[2:]}_{number}.png", number % 7


def _gleason_arvaniti(root: Path) -> Iterator[Named]:
    (root / "test_patches_750").mkdir()
    for array, length in {"ZT111": 15303, "ZT76": 2482}.items():
        for number in range(length):
            core = f"{array}_4_A_1_{number // 4 % 30}"
            name = f"{core}_patch_{number}_class_{number % 4}.jpg"
            yield f"train_validation_patches_750/{core}/{name}", number % 4


def _unitopatho(root: Path) -> Iterator[Named]:
    classes = ("HP", "NORM", "TA.HG", "TA.LG", "TVA.HG", "TVA.LG")
    (root / "800").mkdir()
    for table, length in {"train": 6270, "test": 2399}.items():
        rows = []
        for number in range(length):
            name = classes[number % 6]
            slide = f"{number % 60}{table[1]}-B2-{name.replace('.', '')}.ndpi"
            rows.append((f"{slide}_ROI__mpp0.44_reg000_crop_sk{number:05d}.png", number % 6))
            yield f"800/{name}/{rows[-1][0]}", number % 6
        frame = pd.DataFrame(rows, columns=["image_id", "top_label"])
        frame.to_csv(root / "800" / f"{table}.csv", index=False)


LAYOUTS: dict[str, Callable[[Path], Iterator[Named]]] = {
    "bracs": _bracs,
    "breakhis": _breakhis,
    "gleason_arvaniti": _gleason_arvaniti,
    "mhist": _mhist,
    "unitopatho": _unitopatho,
}
"""The files of a dataset, by its card's name; tables are written on the way."""


def write_layout(name: str, root: Path) -> None:
    """Writes a dataset into an empty folder."""
    first: dict[tuple[int, str], Path] = {}
    for file, kind in LAYOUTS[name](root):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        known = first.setdefault((kind, path.suffix), path)
        if known is path:
            Image.new("RGB", (16, 16), (30 * kind, 100, 200)).save(path)
        else:
            os.link(known, path)
