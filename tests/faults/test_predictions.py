"""Predicting images of a folder by a trained run: each call has a folder of its own."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from clipit_eva import files


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, data, trained, server):
    own = {
        "CHECKPOINT": str(trained),
        "DATA_ROOT": f"{data['DATA_ROOT']}/ICIAR2018_BACH_Challenge",
        "OUTPUT_ROOT": str(server.root / "predictions"),
    }
    words = eva_words("predict", "predict/bach")
    return begin_stage("predictions", words, _tables, {**data, **own})


def _tables(root: Path) -> dict[str, Any]:
    """Returns rows and provenance of the tables, which differ in their folder's name: the time."""
    found = {}
    for path in sorted(root.glob("predictions/*/run_0/predictions.parquet")):
        table = pq.read_table(path)
        facts = json.loads(table.schema.metadata[files.PROVENANCE_KEY])
        content = (table.to_pylist(), {**facts, "run": None})
        assert found.setdefault(path.name, content) == content
    return found


@pytest.mark.slow
@pytest.mark.faults(kill=14, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
