"""Training from a file of embeddings through the real command, against training from images."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from clipit_eva.analysis.reading.runs import read_run
from clipit_eva.files import sha256_file
from clipit_eva.predictions.predictions_table import FILENAME, read_predictions
from clipit_eva.tasks import configs, synthetic

pytestmark = pytest.mark.slow

EPOCHS = {"MAX_STEPS": "14", "VAL_CHECK_INTERVAL": "1.0", "LR_VALUE": "0.01", "N_RUNS": "2"}
"""Two epochs on the hold-out's train part, twice."""

RUNS = ("run_0", "run_1")


@pytest.fixture(scope="module")
def unimodal(embedded_bach, run_eva):
    finished = run_eva("fit", "unimodal_cached/bach", {**embedded_bach, **EPOCHS})
    assert finished.status == 0, finished.output
    return finished


@pytest.fixture(scope="module")
def no_lora(embedded_bach, unimodal, run_eva):
    start = {"VISION_HEAD_CHECKPOINT": str(unimodal.folder)}
    finished = run_eva("fit", "no_lora_cached/bach", {**embedded_bach, **EPOCHS, **start})
    assert finished.status == 0, finished.output
    return finished


def _table(finished, run: str) -> Path:
    (path,) = finished.folder.rglob(f"{run}/{FILENAME}")
    return path


def _assert_same(ours, theirs, tolerance: float = 1e-5) -> None:
    columns = [name for name in ours if not name.startswith("prob_") and name != "split"]
    assert ours[columns].equals(theirs[columns])
    probs = [name for name in ours if name.startswith("prob_")]
    np.testing.assert_allclose(ours[probs], theirs[probs], rtol=0, atol=tolerance)


def _assert_same_runs(cached, online) -> None:
    tables = []
    for run in RUNS:
        ours, theirs = _table(cached, run), _table(online, run)
        _assert_same(read_predictions(ours)[0], read_predictions(theirs)[0])
        tables.append(read_predictions(ours)[0])
        found, expected = read_run(ours), read_run(theirs)
        assert found is not None
        assert expected is not None
        assert (found.settings, found.backbone, found.dataset, found.seed) == (
            expected.settings,
            expected.backbone,
            expected.dataset,
            expected.seed,
        )
    assert not tables[0]["prob_0"].equals(tables[1]["prob_0"])


def test_unimodal_has_the_numbers_of_training_from_images(unimodal, paired_bach, run_eva) -> None:
    online = run_eva("fit", "unimodal/bach", {**paired_bach, **EPOCHS})
    _assert_same_runs(unimodal, online)


def test_no_lora_has_the_numbers_of_training_from_images(
    no_lora, unimodal, paired_bach, run_eva
) -> None:
    start = {"VISION_HEAD_CHECKPOINT": str(unimodal.folder), "LORA_VISION": "false"}
    online = run_eva("fit", "clip_it/bach", {**paired_bach, **EPOCHS, **start})
    assert online.status == 0, online.output
    _assert_same_runs(no_lora, online)
    (head,) = unimodal.folder.rglob("run_1/checkpoints/best.ckpt")
    _, provenance = read_predictions(_table(no_lora, "run_1"))
    assert provenance["inputs"]["vision_head"] == sha256_file(head)


UNSTABLE = """
import functools, timm, torch
from eva.vision.models import backbones

def make(name, **arguments):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return timm.create_model(name, num_classes=0, **arguments)

size = {"img_size": 32, "patch_size": 16, "depth": 2}
for name, arguments in {
    "resnet10t": {},
    "vit_tiny_patch16_224": {"proj_drop_rate": 0.5, "attn_drop_rate": 0.5, **size},
    "convnext_atto": {"drop_path_rate": 0.5},
}.items():
    backbones.backbone_registry.register(f"test/{name}")(functools.partial(make, name, **arguments))
"""
"""Backbones that compute something else in training mode."""


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("resnet10t", 512),
        pytest.param("vit_tiny_patch16_224", 192, marks=pytest.mark.long),
        pytest.param("convnext_atto", 320, marks=pytest.mark.long),
    ],
)
def test_a_frozen_backbone_is_frozen_in_training(name, width, cohort, run_eva, tmp_path) -> None:
    """BatchNorm statistics, dropout and drop path: from embeddings, nothing can move them."""
    (tmp_path / "sitecustomize.py").write_text(UNSTABLE)
    environment = {
        "PYTHONPATH": str(tmp_path),
        "MODEL_NAME": f"test/{name}",
        "IN_FEATURES": str(width),
        "RESIZE_DIM": "32",
        "DATA_ROOT": str(cohort.bach),
        "EMBEDDINGS_ROOT": str(tmp_path / "embeddings"),
        **EPOCHS,
    }
    written = run_eva("predict", "embeddings/bach", environment)
    assert written.status == 0, written.output
    runs = [
        run_eva("fit", config, environment) for config in ("unimodal_cached/bach", "unimodal/bach")
    ]
    _assert_same_runs(*runs)


def test_a_run_from_embeddings_predicts_images(no_lora, cohort, run_eva, tmp_path) -> None:
    (checkpoint,) = no_lora.folder.rglob("run_0/checkpoints/best.ckpt")
    config = yaml.safe_load(configs.path("predict/bach").read_text())
    datasets = config["data"]["init_args"]["datasets"]
    images = {"root": str(cohort.bach), "split": "val"}
    datasets["predict"] = {"class_path": "eva.vision.datasets.BACH", "init_args": images}
    path = tmp_path / "predict.yaml"
    path.write_text(yaml.safe_dump(config))
    run = {"CHECKPOINT": str(checkpoint), "DATA_ROOT": str(cohort.bach)}
    finished = run_eva("predict", path, run)
    assert finished.status == 0, finished.output
    ours, _ = read_predictions(finished.file(FILENAME))
    theirs, _ = read_predictions(_table(no_lora, "run_0"))
    _assert_same(ours, theirs)


def test_killed_while_embedding_the_rows_that_were_written_are_kept(
    embedded_bach, paired_bach, run_eva, tmp_path
) -> None:
    """And no row is computed again: neither those, nor any once all are there."""
    folder = tmp_path / "embeddings"
    environment = {**paired_bach, "EMBEDDINGS_ROOT": str(folder)}
    code = (
        "import os, time\n"
        "import clipit_eva.embeddings.row_store as store\n"
        "write = store.RowStore.write\n"
        "def watched(self, rows, values):\n"
        "    write(self, rows, values)\n"
        "    with open(os.environ['WRITTEN'], 'a') as file:\n"
        "        file.writelines(f'{self.length} {row}\\n' for row in rows)\n"
        "    time.sleep(float(os.environ['SLEEP']))\n"
        "store.RowStore.write = watched\n"
    )
    (tmp_path / "sitecustomize.py").write_text(code)
    written = tmp_path / "written"
    written.touch()
    watch = {"PYTHONPATH": str(tmp_path), "WRITTEN": str(written)}
    process = _start({**environment, **watch, "SLEEP": "2"}, tmp_path)
    while process.poll() is None and not written.stat().st_size:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = written.read_text().splitlines()
    assert 64 <= len(first) < 400
    _check_resumed(environment, watch, run_eva, written)
    for ours in folder.glob("vision-*"):
        assert (
            ours.read_bytes() == (Path(embedded_bach["EMBEDDINGS_ROOT"]) / ours.name).read_bytes()
        )
    assert len(list(folder.glob("vision-*.npy"))) == 4


def _check_resumed(environment, watch, run_eva, written: Path) -> None:
    """Runs the command to its end, and once more."""
    for _ in range(2):
        finished = run_eva("predict", "embeddings/bach", {**environment, **watch, "SLEEP": "0"})
        assert finished.status == 0, finished.output
        lines = written.read_text().splitlines()
        assert len(lines) == len(set(lines)) == 400


def _start(environment: dict[str, str], folder: Path) -> subprocess.Popen:
    command = [str(Path(sys.executable).with_name("eva")), "predict", "--config"]
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.Popen(
        [*command, str(configs.path("embeddings/bach"))],
        env={**clean, **synthetic.SHARED, **environment, "OUTPUT_ROOT": str(folder / "logs")},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_embeddings_by_another_transform_are_refused(embedded_bach, run_eva) -> None:
    finished = run_eva("fit", "unimodal_cached/bach", {**embedded_bach, "RESIZE_DIM": "32"})
    assert finished.status == 2, finished.output
    assert "RESIZE_DIM" in finished.error
    assert 'run `eva predict --config "$(clipit-eva configs embeddings/bach)"`' in finished.error
    assert "Traceback" not in finished.output


def test_text_only_needs_no_clip_model_once_reports_are_embedded(
    paired_bach, run_eva, tmp_path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['open_clip'] = None\n")
    hidden = {**paired_bach, "PYTHONPATH": str(tmp_path)}
    finished = run_eva("fit", "text_only/bach", hidden, forked=False)
    assert finished.status == 0, finished.output
