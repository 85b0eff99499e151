"""Whether folders hold what eva's datasets take them for.

eva's BACH takes its splits by position among the sorted file names, and checks no name: one file
more, fewer or renamed moves images from training to test.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import compat

_BACH_PREFIXES = {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}
"""What the names of each class of BACH begin with; numbers 001 to 100 follow."""


def check_folders(datasets: Iterable[Any]) -> None:
    """Checks the folders of datasets that take their splits by position.

    Args:
        datasets: eva's datasets, without wrappers.

    Raises:
        InputError: A file is missing, or one is there that does not belong to the dataset.
    """
    for dataset in datasets:
        root = compat.dataset_root(dataset)
        if type(dataset).__name__ == "BACH" and root is not None:
            _check_bach(root / "ICIAR2018_BACH_Challenge" / "Photos")


def _check_bach(photos: Path) -> None:
    """Raises InputError unless a folder holds the 400 images of BACH under their own names."""
    expected = {
        f"{kind}/{prefix}{number:03d}.tif"
        for kind, prefix in _BACH_PREFIXES.items()
        for number in range(1, 101)
    }
    found = {
        os.path.relpath(os.path.join(folder, name), photos)
        for kind in _BACH_PREFIXES
        for folder, _, names in os.walk(photos / kind, followlinks=True)
        for name in names
        if name.lower().endswith(".tif")
    }
    for names, trouble in (
        (expected - found, "is missing; unpack BACH again"),
        (found - expected, "is none of BACH's images; move it away"),
    ):
        if names:
            raise InputError(f"DATA_ROOT: {photos / min(names)} {trouble} (splits go by position)")
