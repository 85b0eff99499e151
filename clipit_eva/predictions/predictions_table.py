"""The predictions table: what a model said about each sample."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clipit_eva import files

if TYPE_CHECKING:  # whoever reads tables need not wait for torch
    import torch

FILENAME = "predictions.parquet"
"""Name of the table in a run's folder: a folder is a run if it holds one."""

KIND = "predictions table"

COLUMNS = ("split", "index", "filename", "target", "branch", "prediction")
"""Columns before the probabilities `prob_0`, `prob_1`, ..., one a class."""

GROUP = "group"
"""Column behind them where the dataset knows the slide or patient of its samples."""


def validation_path(path: Path) -> Path:
    """Returns where, beside a predictions table, that of its run's validation samples lies."""
    return path.with_name(f"{path.stem}-val{path.suffix}")


def probabilities(logits: "torch.Tensor") -> np.ndarray:
    """Returns class probabilities [B, C], float32, of logits.

    Args:
        logits: One logit a sample [B] (a binary task: sigmoid, C = 2), or one a class [B, C]
            (softmax). Any floating dtype.
    """
    logits = logits.detach().float().cpu()  # bfloat16 has no NumPy type
    if logits.ndim == 1:
        positive = logits.sigmoid().numpy()
        return np.stack([1 - positive, positive], axis=1)
    return logits.softmax(dim=1).numpy()


def make_rows(
    split: str,
    branch: str,
    indices: Sequence[int],
    filenames: Sequence[str],
    targets: Sequence[int],
    probs: np.ndarray,
    *,
    groups: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Returns the rows of one branch on some samples of a split.

    Args:
        split: The split's name.
        branch: `fused`, `vision` or `text`.
        indices: The samples' indices in the eva dataset [n].
        filenames: Their filenames [n].
        targets: Their classes [n]; `UNKNOWN_TARGET` if there is none.
        probs: Their class probabilities [n, C], float32.
        groups: Their slides, patients or other groups [n]; None if the dataset knows none.
    """
    from clipit_eva.data.batches import UNKNOWN_TARGET

    labels = pd.array(targets, dtype="Int64")
    labels[labels == UNKNOWN_TARGET] = pd.NA
    rows = pd.DataFrame(
        {
            "split": split,
            "index": np.asarray(indices, dtype=np.int64),
            "filename": np.asarray(filenames, dtype=object),
            "target": labels,
            "branch": branch,
            "prediction": probs.argmax(axis=1).astype(np.int64),
        }
    )
    classes = {f"prob_{position}": probs[:, position] for position in range(probs.shape[1])}
    return rows.assign(**classes, **({} if groups is None else {GROUP: groups}))


def schema(num_classes: int, groups: bool = False) -> pa.Schema:
    """Returns the table's columns and types."""
    types = (pa.string(), pa.int64(), pa.string(), pa.int64(), pa.string(), pa.int64())
    fixed = list(zip(COLUMNS, types, strict=True))
    probs = [(f"prob_{c}", pa.float32()) for c in range(num_classes)]
    return pa.schema([*fixed, *probs, *([(GROUP, pa.string())] if groups else [])])


def write_predictions(
    rows: pd.DataFrame, path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Writes rows of `make_rows` and provenance, atomically, in a fixed order, each sample once.

    Under DDP samples repeat, because the last batch is padded.
    """
    key = ["split", "branch", "index"]
    rows = rows.drop_duplicates(key).sort_values(key, kind="stable")
    grouped = GROUP in rows
    num_classes = rows.shape[1] - len(COLUMNS) - grouped
    files.write_table(rows, path, schema=schema(num_classes, grouped), provenance=provenance)


def read_predictions(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads a predictions table and its provenance.

    Raises:
        InputError: The file is missing, damaged, or not a predictions table.
    """
    return files.read_table(path, columns=[*COLUMNS, "prob_0", "prob_1"], kind=KIND)
