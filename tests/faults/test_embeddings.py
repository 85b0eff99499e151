"""Embedding images by a frozen backbone."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, data, server):
    root = server.root
    own = {"EMBEDDINGS_ROOT": str(root / "embeddings"), "OUTPUT_ROOT": str(root / "logs")}
    words = eva_words("predict", "embeddings/bach")
    return begin_stage("embeddings", words, _tables, {**data, **own})


def _tables(root: Path) -> dict[str, bytes]:
    paths = [path for kind in ("npy", "sha256") for path in root.glob(f"embeddings/*.{kind}")]
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


@pytest.mark.slow
@pytest.mark.faults(kill=16, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
