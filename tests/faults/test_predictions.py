"""Predicting images of a folder by a trained run: each call has a folder of its own."""

import pytest


@pytest.fixture(scope="module")
def stage(begin_stage, eva_words, data, trained, server, read_alike):
    own = {
        "CHECKPOINT": str(trained),
        "DATA_ROOT": f"{data['DATA_ROOT']}/ICIAR2018_BACH_Challenge",
        "OUTPUT_ROOT": str(server.root / "predictions"),
    }

    def tables(root):
        """Tables differ in their folder's name: the time."""
        return read_alike(root.glob("predictions/*/run_0/predictions.parquet"), without=("run",))

    words = eva_words("predict", "predict/bach")
    return begin_stage("predictions", words, tables, {**data, **own})


@pytest.mark.slow
@pytest.mark.faults(kill=14, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
