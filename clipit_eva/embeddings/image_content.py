"""What is in a dataset's image files, read once and again only if a file may have changed."""

import concurrent.futures
import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from eva.vision.data.datasets import vision

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.eva import compat

_KIND = "table of image contents"
_STATE = ["size", "changed", "moved"]
_COLUMNS = ["path", *_STATE, "sha256"]
_log = logging.getLogger(__name__)


def content_digest(dataset: vision.VisionDataset, folder: Path) -> str | None:
    """Returns the SHA-256 of what is in the files of a dataset's images, in their order.

    A file is read if its size, or its time of change, is not the one that `folder` has a record of.

    Args:
        dataset: The dataset, set up.
        folder: Where the record is kept.

    Returns:
        64 hex digits; None if the dataset's files cannot be told from the names of its samples.
    """
    paths = compat.sample_files(dataset)
    if paths is None:
        return None
    digests = _digests([os.path.abspath(path) for path in paths], folder)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _digests(paths: Sequence[str], folder: Path) -> list[str]:
    """Returns the SHA-256 of each file."""
    found = pd.DataFrame([(path, *_state(path)) for path in paths], columns=[*_COLUMNS[:-1]])
    key = hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:16]
    record = folder / f"content-{key}.parquet"
    known = found.merge(_read(record), how="left", on=_COLUMNS[:-1])
    new = known["sha256"].isna()
    if new.any():
        _log.info("Reading %d image files once, to know them by their content", new.sum())
        with concurrent.futures.ThreadPoolExecutor() as pool:
            known.loc[new, "sha256"] = list(pool.map(files.sha256_file, known.loc[new, "path"]))
        files.write_table(known[_COLUMNS], record, provenance={"kind": _KIND})
    return known["sha256"].tolist()


def _state(path: str) -> tuple[int, int, int]:
    """Returns a file's size and its times of change: of its content, and of its entry."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _read(record: Path) -> pd.DataFrame:
    """Returns what is recorded; nothing if the record is missing or damaged."""
    if record.is_file():
        try:
            return files.read_table(record, columns=_COLUMNS, kind=_KIND)[0].drop_duplicates()
        except InputError as error:
            _log.warning("%s; the images are read again", error)
    return pd.DataFrame(columns=_COLUMNS).astype(dict.fromkeys(_STATE, "int64"))
