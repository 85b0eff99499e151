"""Which slide a test sample comes from: PatchCamelyon tells, in a file beside its data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clipit_eva.errors import InputError

from .run_files import recorded
from .runs import Run

SLIDE_COLUMN = "wsi"  # of PatchCamelyon's `*_meta.csv`: names the slide
SPLIT_IN_FILE = {"val": "valid"}  # splits that its files name differently from eva


def slides_of(run: Run) -> NDArray[np.int64] | None:
    """Returns the slide of each test sample of a run, as integers [samples].

    Reads `*_split_<split>_meta.csv` in the data root that the run's configuration records, or in
    the folder above; row i describes sample i. Any run of a dataset tells.

    Returns:
        None if there is no such file: intervals are then "patch-level, optimistic".

    Raises:
        InputError: The file lacks the column `wsi`, or has too few rows.
    """
    path = meta_file(run)
    if path is None:
        return None
    named = slide_names(path)
    index = run.test_set.index
    if index.max() >= len(named):
        raise InputError(f"{path} has {len(named)} rows, but {run.path} has sample {index.max()}")
    slides = named.iloc[index]
    if slides.isna().any():
        raise InputError(f"{path} names no slide for {int(slides.isna().sum())} samples")
    return pd.factorize(slides)[0].astype(np.int64)


def slide_names(path: Path) -> pd.Series:
    """Returns the slide of each sample of a split, by the file that names them.

    Raises:
        InputError: The file is no readable CSV, or lacks the column `wsi`.
    """
    try:
        meta = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' own are ValueErrors
        raise InputError(f"{path} is no readable CSV ({error}); download it again") from None
    if SLIDE_COLUMN not in meta.columns:
        columns = ", ".join(map(str, meta.columns))
        raise InputError(f"{path} lacks column {SLIDE_COLUMN!r}; it has {columns}")
    return meta[SLIDE_COLUMN]


def meta_file(run: Run, role: str = "test") -> Path | None:
    """Returns the file that names the slides of a run's training, val or test data, or None."""
    split = str(dataset_arguments(run, role).get("split"))
    pattern = f"*_split_{SPLIT_IN_FILE.get(split, split)}_meta.csv"
    folders = (folder for root in data_roots(run) for folder in (root, root.parent))
    return next((path for folder in folders for path in sorted(folder.glob(pattern))), None)


def data_roots(run: Run) -> list[Path]:
    """Returns the folders that a run's data root may mean now, those that exist."""
    root = dataset_arguments(run).get("root")
    return [path for path in recorded(root, run.path) if path.is_dir()]


def dataset_arguments(run: Run, role: str = "test") -> Mapping[str, Any]:
    """Returns the arguments of the eva dataset of a run's role; empty if unknown."""
    name = run.provenance["datasets"][0]["class"].rpartition(".")[2]
    return run.config.part(f"data.datasets.{role}").first(name).arguments
