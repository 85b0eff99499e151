"""Training: each call trains anew, into a folder of its own."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from clipit_eva import files

SESSION = ("run", "checkpoint")
"""Keys of a provenance that tell one session from another: its folder's name, which is the time,
and a digest of what names it."""


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, paired, server):
    root = server.root
    own = {"EMBEDDINGS_ROOT": str(root / "embeddings"), "OUTPUT_ROOT": str(root / "runs")}
    return begin_stage("training", eva_words("fit", "clip_it/bach"), _tables, {**paired, **own})


def _tables(root: Path) -> dict[str, Any]:
    """Returns rows and provenance of the tables; sessions that have the same have one."""
    found = {}
    for path in sorted(root.glob("runs/*/run_0/*.parquet")):
        if not path.name.startswith("."):
            table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[files.PROVENANCE_KEY])
            kept = {key: value for key, value in facts.items() if key not in SESSION}
            content = (table.to_pylist(), kept)
            assert found.setdefault(path.name, content) == content
    return found


@pytest.mark.slow
@pytest.mark.faults(kill=12, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
