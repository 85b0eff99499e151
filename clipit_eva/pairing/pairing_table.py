"""The pairing table: which reports go with which image."""

import functools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipit_eva import files
from clipit_eva.errors import InputError

SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("index", pa.int64()),
        ("filename", pa.string()),
        ("rank", pa.int32()),
        ("report_id", pa.string()),
        ("chunk", pa.int32()),
        ("similarity", pa.float32()),
    ]
)
"""Columns of the table; `index` is the eva dataset's, `rank` 0 is the most similar report."""

KIND = "pairing table"

_log = logging.getLogger(__name__)


def make_pairs(
    split: str,
    filenames: Sequence[str],
    report_ids: Sequence[str],
    neighbours: np.ndarray,
    similarities: np.ndarray,
    chunks: np.ndarray | None = None,
) -> pd.DataFrame:
    """Returns the rows of one split.

    Args:
        split: The split's name.
        filenames: Filename of each image, in the dataset's order.
        report_ids: Id of each report, or of each chunk's report, in the corpus's order.
        neighbours: Reports or chunks of each image [N, k], int64, best first.
        similarities: Their cosines [N, k], float32.
        chunks: The number of each chunk in its report, int32; `None` means whole reports.
    """
    count, k = neighbours.shape
    return pd.DataFrame(
        {
            "split": split,
            "index": np.repeat(np.arange(count), k),
            "filename": np.repeat(np.asarray(filenames, dtype=object), k),
            "rank": np.tile(np.arange(k, dtype=np.int32), count),
            "report_id": np.asarray(report_ids, dtype=object)[neighbours.ravel()],
            "chunk": np.int32(0) if chunks is None else chunks[neighbours.ravel()],
            "similarity": similarities.ravel(),
        }
    )


def write_pairs(
    pairs: pd.DataFrame, path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Writes a pairing table, atomically."""
    files.write_table(pairs, path, schema=SCHEMA, provenance=provenance)


def read_pairs(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads a pairing table and its provenance.

    Raises:
        InputError: The file is missing, damaged, or not a pairing table.
    """
    return files.read_table(path, columns=SCHEMA, kind=KIND)


def pairs_of(
    path: str | os.PathLike[str],
    *,
    split: str,
    dataset: str,
    filenames: Mapping[int, str],
    length: int,
    reports_sha256: str,
    report_rows: Mapping[str, int],
    top_k: int,
    chunk_counts: Mapping[str, int] | None = None,
    clip: Callable[[], Mapping[str, Any]] | None = None,
    contents: Callable[[], str | None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the pairs of some images of one split, checked against data and reports.

    Args:
        path: The pairing table.
        split: The split's name in the table.
        dataset: Import path of the eva dataset's class.
        filenames: Filename of each wanted image, by the eva dataset's index.
        length: Length of the eva dataset.
        reports_sha256: Fingerprint of the corpus.
        report_rows: Row of each report id in the corpus, or of its first chunk.
        top_k: Reports wanted for each image, at least 1.
        chunk_counts: Number of each report's chunks, whose rows follow the first's; `None` means
            whole reports.
        clip: Returns what tells training's CLIP model from others; called if the table says what
            model made it. `None` means that any will do.
        contents: Returns the digest of what is in the dataset's image files, None if it cannot be
            told; called if the table says of which images it was made. `None` means that any do.

    Returns:
        Report rows [n, top_k], int64, and similarities [n, top_k], float32, in the order of
        `filenames`.

    Raises:
        InputError: The table was made for another dataset, split or corpus, of other images or by
            another CLIP model, or an image has no pair.
    """
    pairs, provenance = read_pairs(path)
    _check_provenance(Path(path), provenance, split, dataset, length, reports_sha256)
    if clip is not None and "clip" in provenance:
        _check_clip(Path(path), provenance["clip"], clip())
    if contents is not None:
        _check_contents(Path(path), provenance["datasets"][split], split, contents)
    wanted = (
        (pairs["split"] == split) & (pairs["rank"] < top_k) & pairs["index"].isin(list(filenames))
    )
    pairs = pairs.loc[wanted].sort_values(["index", "rank"])
    _check_pairs(Path(path), pairs, split, filenames, top_k, report_rows)
    rows = (
        (pairs["report_id"].map(report_rows) + _chunks(Path(path), pairs, chunk_counts))
        .to_numpy(np.int64)
        .reshape(-1, top_k)
    )
    similarities = pairs["similarity"].to_numpy(np.float32).reshape(-1, top_k)
    order = pd.Index(pairs["index"].to_numpy()[::top_k]).get_indexer(pd.Index(list(filenames)))
    return rows[order], similarities[order]


def _chunks(path: Path, pairs: pd.DataFrame, chunk_counts: Mapping[str, int] | None) -> pd.Series:
    """Returns each pair's chunk; raises InputError if its report has no such chunk."""
    counts = 1 if chunk_counts is None else pairs["report_id"].map(chunk_counts)
    wrong = (pairs["chunk"] < 0) | (pairs["chunk"] >= counts)
    if wrong.any():
        row = pairs.loc[wrong].iloc[0]
        raise InputError(
            f"{KIND} {path} names chunk {row['chunk']} of report {row['report_id']!r}, which has "
            "fewer; pair these reports again with the same REPORT_POLICY"
        )
    return pairs["chunk"]


def _check_provenance(
    path: Path,
    provenance: Mapping[str, Any],
    split: str,
    dataset: str,
    length: int,
    reports_sha256: str,
) -> None:
    """Raises InputError if the table was made for other data."""
    made_for = provenance.get("datasets", {}).get(split)
    if made_for is None:
        splits = ", ".join(provenance.get("datasets", {})) or "none"
        raise InputError(f"{KIND} {path} has no split {split!r} (it has {splits}); pair it first")
    if (made_for["class"], made_for["length"]) != (dataset, length):
        raise InputError(
            f"{KIND} {path} was made for {made_for['class']} with {made_for['length']} images in "
            f"split {split!r}, not for {dataset} with {length}; pair this dataset first"
        )
    made_of = provenance["reports"]
    if made_of["sha256"] != reports_sha256:
        raise InputError(
            f"{KIND} {path} was made of other reports ({made_of['source']}, sha256 "
            f"{made_of['sha256'][:12]}), not of REPORTS (sha256 {reports_sha256[:12]}); pair these "
            "reports first"
        )


def _check_clip(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raises InputError if another CLIP model made the table than training embeds reports by."""
    for fact in theirs.keys() & ours.keys():
        if theirs[fact] != ours[fact]:
            raise InputError(
                f"{KIND} {path} was made by another CLIP model (its {fact} is {theirs[fact]}) than "
                f"CLIP_MODEL ({ours[fact]}); pair by this model first, or set CLIP_MODEL, "
                "CLIP_CHECKPOINT and CLIP_TOKENIZER to the table's"
            )


def _check_contents(
    path: Path, made_for: Mapping[str, Any], split: str, contents: Callable[[], str | None]
) -> None:
    """Raises InputError if image files are others than when the table was made."""
    if "files" not in made_for:
        _warn_unchecked(path)
    elif made_for["files"] is not None and made_for["files"] != contents():
        raise InputError(
            f"{KIND} {path} was made of other images: files of split {split!r} in DATA_ROOT have "
            "changed since; pair this dataset again"
        )


@functools.cache
def _warn_unchecked(path: Path) -> None:
    """Says once that an old table does not tell of which images it was made."""
    _log.warning("%s %s does not say what was in its images: that is not checked", KIND, path)


def _check_pairs(
    path: Path,
    pairs: pd.DataFrame,
    split: str,
    filenames: Mapping[int, str],
    top_k: int,
    report_rows: Mapping[str, int],
) -> None:
    """Raises InputError if an image has no pair, or a pair names another file or report."""
    counts = pairs["index"].value_counts().reindex(list(filenames), fill_value=0)
    if (short := counts.loc[counts != top_k]).size:
        index, count = short.index[0], short.iloc[0]
        raise InputError(
            f"{KIND} {path} has {count} of {top_k} reports for image {index} ({filenames[index]}) "
            f"of split {split!r}; pair this dataset again with TOP_K={top_k}"
        )
    wanted = pairs["index"].map(filenames)
    if (other := pairs["filename"] != wanted).any():
        row = pairs.loc[other].iloc[0]
        raise InputError(
            f"{KIND} {path} has {row['filename']} as image {row['index']} of split {split!r}, but "
            f"the dataset has {filenames[row['index']]}; pair this dataset again"
        )
    unknown = ~pairs["report_id"].isin(list(report_rows))
    if unknown.any():
        report_id = pairs.loc[unknown, "report_id"].iloc[0]
        raise InputError(
            f"{KIND} {path} names report {report_id!r}, which REPORTS lacks; pair these reports "
            "first"
        )
