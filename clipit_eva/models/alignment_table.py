"""The alignment table: how close images and their paired reports are, before and after training."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from clipit_eva import files

FILENAME = "alignment.parquet"
"""Name of the table in a run's folder."""

KIND = "alignment table"

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("filename", pa.string()),
        ("cosine_before", pa.float32()),
        ("cosine_after", pa.float32()),
        ("distance_before", pa.float32()),
        ("distance_after", pa.float32()),
    ]
)
"""Columns: `index` in the eva dataset of the training split; cosine similarity and Euclidean
distance of the projected image embedding and the embedding of the paired report."""


def write_alignment(
    rows: pd.DataFrame, path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Writes an alignment table, atomically."""
    files.write_table(rows, path, schema=SCHEMA, provenance=provenance)


def read_alignment(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads an alignment table and its provenance.

    Raises:
        InputError: The file is missing, damaged, or not an alignment table.
    """
    return files.read_table(path, columns=SCHEMA, kind=KIND)
