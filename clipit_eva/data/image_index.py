"""The table of labelled images: which files there are, of which class, split and group."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from clipit_eva.data import image_files
from clipit_eva.data.groups import draw_share
from clipit_eva.data.hold_out import SHARE
from clipit_eva.errors import InputError

SPLITS = ("train", "val", "test")

GROUPS = ("group", "patient", "slide")
"""Names of the column that tells the group; of several the first counts."""


def read_folders(root: Path) -> pd.DataFrame:
    """Returns `filename` (below the root) and `label` of all images in class folders, by filename.

    Raises:
        InputError: The root is no folder, or has an image outside of class folders.
    """
    if not root.is_dir():
        raise InputError(f"DATA_ROOT={root} is no folder; give a folder of class folders")
    names = [path.relative_to(root).as_posix() for path in image_files.find_images(root)]
    for name in names:
        if "/" not in name:
            raise InputError(f"DATA_ROOT={root}: {name} lies in no class folder; move it into one")
    labels = [name.partition("/")[0] for name in names]
    return pd.DataFrame({"filename": names, "label": labels}, dtype=str)


def read_index(path: Path, root: Path) -> pd.DataFrame:
    """Returns `filename`, `label` and, where the file has them, `split` and `group`, as text.

    Args:
        path: A CSV or parquet file of these columns; the group may be called otherwise, see
            `GROUPS`, and other columns are ignored.
        root: The folder that filenames are relative to.

    Returns:
        The rows, by filename.

    Raises:
        InputError: The file is missing or unreadable, lacks a column or a value, names an image
            twice or one that is not there, or a split that is none of `SPLITS`.
    """
    table = _load(path)
    group = next((name for name in GROUPS if name in table.columns), None)
    for name in ("filename", "label"):
        if name not in table.columns:
            listed = ", ".join(map(str, table.columns))
            raise InputError(f"index {path} lacks column {name!r}; it has {listed}")
    kept = [name for name in ("filename", "label", "split", group) if name in table.columns]
    for name in kept:
        empty = table[name].isna() | (table[name].astype(str).str.strip() == "")
        if empty.any():
            row = int(empty.argmax()) + 1
            raise InputError(f"index {path} has no {name} in row {row}; fill it in")
    table = table[kept].astype(str).rename(columns={group: "group"})
    _check_files(table["filename"], path, root)
    if "split" in table and not table["split"].isin(SPLITS).all():
        other = table["split"][~table["split"].isin(SPLITS)].iloc[0]
        raise InputError(f"index {path}: split {other!r} must be one of {', '.join(SPLITS)}")
    return table.sort_values("filename", ignore_index=True)


def with_splits(table: pd.DataFrame, seed: int, source: str) -> pd.DataFrame:
    """Returns a table with the column `split`: its own, or one that is drawn by class and group.

    A fifth of each class is drawn for `test`, of the rest a fifth for `val`.

    Args:
        table: `filename`, `label` and maybe `split` and `group`.
        seed: Seed of the draw.
        source: What the table is of, for messages.

    Raises:
        InputError: A group is in two splits, or there are too few groups (images, where there are
            no groups) of a label to have one in each split.
    """
    if "split" not in table:
        return _drawn(table, seed, source)
    if "group" in table:
        pairs = pd.DataFrame(table, columns=["group", "split"]).drop_duplicates()
        if twice := pairs.loc[pairs.duplicated("group"), "group"].tolist():
            sides = " and ".join(pairs.loc[pairs["group"] == twice[0], "split"].tolist())
            raise InputError(
                f"{source}: group {twice[0]!r} is in {sides}; put all of it into one split"
            )
    return table


def _drawn(table: pd.DataFrame, seed: int, source: str) -> pd.DataFrame:
    """Returns a table with splits that are drawn."""
    unit = "group" if "group" in table else "filename"
    for label, units in table.groupby("label")[unit].unique().items():
        if len(units) < len(SPLITS):
            words = "groups" if unit == "group" else "images"
            raise InputError(
                f"{source}: label {label!r} has too few {words} ({len(units)}, such as "
                f"{units[0]}): train, val and test need one each; add some, or a column 'split'"
            )
    codes = pd.factorize(table["label"])[0]
    splits = np.full(len(table), "train", dtype=object)
    for name in ("test", "val"):
        rest = np.flatnonzero(splits == "train")
        groups = table["group"].iloc[rest].tolist() if unit == "group" else None
        splits[rest[draw_share(codes[rest], groups, SHARE, seed)]] = name
    for label, found in pd.Series(splits).groupby(table["label"]).unique().items():
        for name in SPLITS:
            if name not in found:
                raise InputError(
                    f"{source}: no group of label {label!r} could be drawn for {name}; give a "
                    "column 'split'"
                )
    return table.assign(split=splits)


def _load(path: Path) -> pd.DataFrame:
    """Returns a file's columns; those of CSV files as text."""
    if not path.is_file():
        raise InputError(f"index {path} does not exist; check `index` in the task's card")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError, pa.ArrowException) as error:  # pandas' own are ValueErrors
        reason = str(error).splitlines()[0]
        raise InputError(
            f"index {path} is no readable CSV or parquet ({reason}); mend it"
        ) from None


def _check_files(names: pd.Series, path: Path, root: Path) -> None:
    """Raises InputError if a file is named twice or is not below the root."""
    if twice := names[names.duplicated()].tolist():
        raise InputError(f"index {path} names {twice[0]} twice; leave one row")
    for name in names:
        relative = Path(name)
        if relative.is_absolute() or ".." in relative.parts or not (root / relative).is_file():
            raise InputError(
                f"index {path}: there is no image {name} below DATA_ROOT={root}; mend its name, "
                "or leave the row out"
            )
