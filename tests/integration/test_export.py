"""Export and inference through the real commands."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from clipit_eva.predictions.predictions_table import FILENAME, read_predictions
from clipit_eva.tasks import configs

pytestmark = pytest.mark.slow


def clipit_eva(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("clipit-eva")), *arguments]
    environment = {n: v for n, v in os.environ.items() if n in ("PATH", "HOME", "LANG")}
    environment |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def probabilities(folder: Path, branch: str) -> tuple[np.ndarray, pd.DataFrame]:
    """The only predictions table below a folder: its probabilities, its rows."""
    (path,) = folder.rglob(FILENAME)
    rows = read_predictions(path)[0]
    rows = rows[rows["branch"] == branch].reset_index(drop=True)
    return rows[[name for name in rows if name.startswith("prob_")]].to_numpy(), rows


def scores(folder: Path, stage: str) -> dict[str, float]:
    """The metrics of a session's only run."""
    (path,) = folder.rglob("results.json")
    (found,) = json.loads(path.read_text())["metrics"][stage]
    return {name: value["mean"] for name, value in found.items()}


@pytest.fixture(scope="module")
def trained(paired_bach: dict[str, str], run_eva: Any) -> Any:
    """A run of the authors' loss."""
    criterion = {"CRITERION": "softmax_cross_entropy"}
    finished = run_eva("fit", "clip_it/bach", {**paired_bach, **criterion})
    assert finished.status == 0, finished.output
    return finished


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_exported_run_is_evaluated_unchanged(
    suffix: str, trained: Any, cohort: Any, run_eva: Any, tmp_path: Path
) -> None:
    file = tmp_path / f"model{suffix}"
    done = clipit_eva("export", str(trained.folder), "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert "Checked on 8 random images and 8 test images" in done.stdout
    config = Path(f"{file}.yaml")
    tested = run_eva("test" if suffix == ".onnx" else "validate_test", config, {})
    assert tested.status == 0, tested.output
    expected, rows = probabilities(trained.folder, "fused")
    found, again = probabilities(tested.folder, "fused")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert again["filename"].equals(rows["filename"])
    theirs = scores(trained.folder, "test")
    assert scores(tested.folder, "test") == pytest.approx(theirs, abs=1e-4)
    if suffix == ".onnx":
        return
    assert scores(tested.folder, "val") == pytest.approx(scores(trained.folder, "val"), abs=1e-4)
    images = {"DATA_ROOT": str(cohort.bach / "ICIAR2018_BACH_Challenge")}
    _predicts_a_folder(run_eva("predict", config, images), rows, expected)


def _predicts_a_folder(finished: Any, rows: pd.DataFrame, expected: np.ndarray) -> None:
    """Checks that the test's images got the test's predictions, among all of a folder."""
    assert finished.status == 0, finished.output
    found, predicted = probabilities(finished.folder, "fused")
    places = {Path(name).name: position for position, name in enumerate(predicted["filename"])}
    assert len(places) > len(rows)
    chosen = [places[Path(name).name] for name in rows["filename"]]
    np.testing.assert_allclose(found[chosen], expected, rtol=0, atol=1e-4)


def test_trained_run_is_tested_and_validated_as_it_was(
    trained: Any, cohort: Any, run_eva: Any
) -> None:
    """By `predict/*.yaml`, with the run's own loss, although CRITERION is not set."""
    run: Mapping[str, str] = {"CHECKPOINT": str(trained.folder), "DATA_ROOT": str(cohort.bach)}
    finished = run_eva("validate_test", "predict/bach", run)
    assert finished.status == 0, finished.output
    for stage in ("val", "test"):
        assert scores(finished.folder, stage) == pytest.approx(scores(trained.folder, stage))
    # What the run itself knows is not taken from the shell.
    shell = {"MODEL_NAME": "another", "RESIZE_DIM": "64", "NORMALIZE_MEAN": "[0, 0, 0]"}
    images = {**run, **shell, "DATA_ROOT": str(cohort.bach / "ICIAR2018_BACH_Challenge")}
    expected, rows = probabilities(trained.folder, "fused")
    _predicts_a_folder(run_eva("predict", "predict/bach", images), rows, expected)


def test_prediction_by_an_untrained_module_is_one_line(
    cohort: Any, run_eva: Any, tmp_path: Path
) -> None:
    """CLIPITModule in place of TrainedCLIPITModule."""
    config = yaml.safe_load(configs.path("predict/bach").read_text())
    model = config["model"]
    model["class_path"] = "clipit_eva.CLIPITModule"
    model["init_args"].pop("checkpoint")
    backbone = {"model_name": "clipit_eva/demo_vit"}
    model["init_args"] |= {
        "backbone": {"class_path": "eva.vision.models.ModelFromRegistry", "init_args": backbone},
        "in_features": 96,
        "num_classes": 4,
    }
    transforms = {"class_path": "eva.vision.data.transforms.common.ResizeAndCrop"}
    transforms["init_args"] = {"size": 32}
    config["data"]["init_args"]["datasets"]["predict"]["init_args"]["transforms"] = transforms
    path = tmp_path / "predict.yaml"
    path.write_text(yaml.safe_dump(config))
    finished = run_eva("predict", path, {"DATA_ROOT": str(cohort.bach)})
    assert finished.status == 2
    assert "TrainedCLIPITModule" in finished.error
    assert not list(finished.folder.rglob(FILENAME))
