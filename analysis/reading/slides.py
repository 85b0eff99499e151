"""Which slide or patient a test sample is of: a file tells, or the run's own predictions table."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clipit_eva.errors import InputError

from .run_files import recorded
from .runs import Run
from .samples import Samples

SLIDE_COLUMN = "wsi"  # of PatchCamelyon's `*_meta.csv`: names the slide
SPLIT_IN_FILE = {"val": "valid"}  # splits that its files name differently from eva


def read_groups(path: Path, test_sets: Sequence[Samples]) -> pd.Series:
    """Returns the slide or patient of each filename, by a CSV file with `filename` and `group`.

    Raises:
        InputError: The file is no readable CSV, lacks a column or a value, has two groups for a
            filename, or names no sample of these test sets.
    """
    try:
        table = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own are ValueErrors
        raise InputError(f"--groups {path} is no readable CSV ({error}); mend it") from None
    for column in ("filename", "group"):
        if column not in table.columns:
            raise InputError(f"--groups {path} lacks column {column!r}; it has filename, group")
        if table[column].isna().any():
            row = int(table[column].isna().argmax()) + 2
            raise InputError(f"--groups {path} has no {column} in line {row}; fill it in")
    groups = table.drop_duplicates(["filename", "group"]).set_index("filename")["group"]
    if not groups.index.is_unique:
        twice = groups.index[groups.index.duplicated()][0]
        raise InputError(f"--groups {path} has two groups for {twice}; leave one")
    if not any(groups.index.isin(one.filenames.to_pylist()).any() for one in {*test_sets}):
        raise InputError(
            f"--groups {path} names no test image; they are named as in predictions tables, such "
            f"as {test_sets[0].filenames[0].as_py()}"
        )
    return groups


def slides_of(run: Run, groups: pd.Series | None = None) -> NDArray[np.int64] | None:
    """Returns the slide or patient of each test sample of a run, as integers [samples].

    `groups`, of `read_groups`, tells those of the datasets whose files it names. Otherwise the
    predictions table does where the dataset knew, or PatchCamelyon's `*_split_<split>_meta.csv`, in
    the data root that the run's configuration records, or in the folder above; row i describes
    sample i. Any run of a dataset tells.

    Returns:
        None if none tells: intervals are then "patch-level, optimistic".

    Raises:
        InputError: The file lacks the column `wsi`, or has too few rows; `groups` names some of
            the dataset's files, and not all.
    """
    if groups is not None:
        names = run.test_set.filenames.to_pylist()
        found = pd.factorize(groups.reindex(names))[0].astype(np.int64)  # -1: none
        missing = np.flatnonzero(found < 0)
        if 0 < len(missing) < len(names):
            raise InputError(
                f"--groups has no group for {len(missing)} test images of {run.dataset}, such as "
                f"{names[missing[0]]}; add them"
            )
        if not len(missing):
            return found
    own = run.test_set.groups
    if own is not None and not own.null_count:
        return pd.factorize(np.asarray(own.to_pylist(), dtype=object))[0].astype(np.int64)
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
    return meta_file_below(data_roots(run), str(dataset_arguments(run, role).get("split")))


def meta_file_below(roots: Iterable[Path], split: str) -> Path | None:
    """Returns the file that names the slides of a split, in data roots or the folders above."""
    pattern = f"*_split_{SPLIT_IN_FILE.get(split, split)}_meta.csv"
    folders = (folder for root in roots for folder in (root, root.parent))
    return next((path for folder in folders for path in sorted(folder.glob(pattern))), None)


def data_roots(run: Run) -> list[Path]:
    """Returns the folders that a run's data root may mean now, those that exist."""
    root = dataset_arguments(run).get("root")
    return [path for path in recorded(root, run.path) if path.is_dir()]


def dataset_arguments(run: Run, role: str = "test") -> Mapping[str, Any]:
    """Returns the arguments of the eva dataset of a run's role; empty if unknown."""
    name = run.provenance["datasets"][0]["class"].rpartition(".")[2]
    return run.config.part(f"data.datasets.{role}").first(name).arguments
