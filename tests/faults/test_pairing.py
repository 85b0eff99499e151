"""Embedding images and reports, and pairing them."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, data, server):
    root = server.root
    own = {
        "PAIRING_TABLE": str(root / "pairs.parquet"),
        "EMBEDDINGS_ROOT": str(root / "embeddings"),
        "OUTPUT_ROOT": str(root / "logs"),
    }
    return begin_stage("pairing", eva_words("predict", "pairing/bach"), _tables, {**data, **own})


def _tables(root: Path) -> dict[str, bytes]:
    paths = [*root.glob("*.parquet"), *root.glob("embeddings/*.npy")]
    paths += root.glob("embeddings/*.parquet")
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


@pytest.mark.slow
@pytest.mark.faults(kill=20, cut=14)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
