"""What a run's pairing table says about itself: tells controls from real pairs."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipit_eva import files
from clipit_eva.eva.recorded_config import RecordedConfig

from .run_files import recorded


def pairing_of(provenance: Mapping[str, Any], run: Path) -> Mapping[str, Any] | None:
    """Returns the provenance of the pairing table that a run was trained with.

    `run` is its predictions table, of this provenance.

    Returns:
        None if the run names no pairing table, or the file is gone or has changed since: a
        control cannot be told from real pairs then.
    """
    own = provenance.get("pairing")
    if isinstance(own, Mapping):
        return own
    path = pairing_table_of(provenance, run)
    return None if path is None else _read(path, path.stat().st_mtime_ns)[0]


def pairing_table_of(provenance: Mapping[str, Any], run: Path) -> Path | None:
    """Returns the pairing table that a run was trained with, unchanged; None without one."""
    digest = (provenance.get("inputs") or {}).get("pairing_table")
    if digest is None:
        return None
    for path in recorded(RecordedConfig(provenance.get("config")).text("pairing_table"), run):
        if _read(path.absolute(), path.stat().st_mtime_ns)[1] == digest:
            return path.absolute()
    return None


@functools.cache
def _read(path: Path, _: int) -> tuple[Mapping[str, Any], str]:
    """Returns a pairing table's provenance and SHA-256 (read again when its time changes)."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError):
        return {}, ""
    return json.loads(metadata.get(files.PROVENANCE_KEY, b"{}")), files.sha256_file(path)
