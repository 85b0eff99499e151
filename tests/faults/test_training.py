"""Training: each call trains anew, into a folder of its own."""

import pytest

SESSION = ("run", "checkpoint")
"""Keys of a provenance that tell one session from another: its folder's name, which is the time,
and a digest of what names it."""


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, paired, server, read_alike):
    root = server.root
    own = {"EMBEDDINGS_ROOT": str(root / "embeddings"), "OUTPUT_ROOT": str(root / "runs")}

    def tables(root):
        """Sessions that have the same tables have one."""
        return read_alike(root.glob("runs/*/run_0/*.parquet"), without=SESSION)

    return begin_stage("training", eva_words("fit", "clip_it/bach"), tables, {**paired, **own})


@pytest.mark.slow
@pytest.mark.faults(kill=12, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
