"""The report of finished runs, and the description of pairing tables."""

from pathlib import Path

import numpy as np
import pytest

from clipit_eva.predictions import predictions_table


@pytest.fixture(scope="module")
def stage(begin_stage, server, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    for method, seed in (("unimodal", 1), ("unimodal", 2), ("clip_it", 1), ("clip_it", 2)):
        _write_run(runs, method, seed)
    output = server.root / "report"
    return begin_stage(
        "report", ["clipit-eva", "report", str(runs), "--output", str(output)], _tables
    )


def _write_run(folder: Path, method: str, seed: int) -> None:
    """Writes the predictions of a run as a finished one has them."""
    draw = np.random.default_rng((seed, len(method)))
    branch = "vision" if method == "unimodal" else "fused"
    targets, probs = np.arange(40) % 4, draw.dirichlet(np.ones(4), 40).astype(np.float32)
    names = [f"class/{place}.tif" for place in range(40)]
    rows = predictions_table.make_rows("test", branch, range(40), names, targets.tolist(), probs)
    path = folder / f"{method}_{seed}" / "run_0" / predictions_table.FILENAME
    backbone = {"class_path": "eva.Backbone", "init_args": {"model_name": "demo"}}
    model = "eva.HeadModule" if method == "unimodal" else "CLIPITModule"
    config = {"model": {"class_path": model, "init_args": {"backbone": backbone}}}
    datasets = [{"class": "eva.BACH", "classes": list("abcd")}]
    facts = {"seed": seed, "run": str(path.parent), "checkpoint": "c0ffee", "datasets": datasets}
    predictions_table.write_predictions(rows, path, {**facts, "config": config})


def _tables(root: Path) -> dict[str, bytes]:
    paths = [path for path in (root / "report").rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in paths if not path.name.startswith(".")}


@pytest.mark.slow
@pytest.mark.faults(kill=20, cut=14)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
