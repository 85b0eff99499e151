"""What a user may rely on, through the real command."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from clipit_eva.demo.truth import agreement
from clipit_eva.files import sha256_file
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.pairing.replacement import replace_pairs
from clipit_eva.predictions.predictions_table import FILENAME, read_predictions
from clipit_eva.reports.corpus import read_corpus
from clipit_eva.tasks import configs

pytestmark = pytest.mark.slow

EPOCHS = {"MAX_STEPS": "14", "VAL_CHECK_INTERVAL": "1.0", "BATCH_SIZE": "32"}
"""Two epochs on the hold-out's train part."""


def _predictions(finished, run: str = "run_0"):
    (path,) = finished.folder.rglob(f"{run}/{FILENAME}")
    rows, _ = read_predictions(path)
    return rows


def _macro_recall(rows) -> float:
    rows = rows[rows["branch"] == "fused"]
    return float((rows["prediction"] == rows["target"]).groupby(rows["target"]).mean().mean())


@pytest.fixture(scope="module")
def trained(paired_bach, run_eva, tmp_path_factory):
    """CLIP-IT, two runs in one session, on copies of reports and pairs that are then deleted."""
    folder = tmp_path_factory.mktemp("private")
    copies = {name: shutil.copy(paired_bach[name], folder) for name in ("REPORTS", "PAIRING_TABLE")}
    finished = run_eva("fit", "clip_it/bach", {**paired_bach, **copies, **EPOCHS, "N_RUNS": "2"})
    assert finished.status == 0, finished.output
    shutil.rmtree(folder)
    return finished


def test_same_seed_same_predictions(trained, paired_bach, run_eva) -> None:
    again = run_eva("fit", "clip_it/bach", {**paired_bach, **EPOCHS})
    assert _predictions(again).equals(_predictions(trained))


@pytest.mark.long
def test_other_seed_other_predictions(trained, paired_bach, run_eva) -> None:
    # The seed is eva's default, 42, above.
    other = run_eva("fit", "clip_it/bach", {**paired_bach, **EPOCHS, "EVA_GLOBAL_SEED": "2"})
    assert not _predictions(other)["prob_0"].equals(_predictions(trained)["prob_0"])


def test_runs_of_a_session_differ_and_report_what_they_predict(trained) -> None:
    results = json.loads(trained.file("results.json").read_text())
    reported = results["metrics"]["test"][0]["test/MulticlassAccuracy"]["values"]
    runs = [_predictions(trained, f"run_{number}") for number in range(2)]
    assert not runs[0]["prob_0"].equals(runs[1]["prob_0"])
    assert [_macro_recall(run) for run in runs] == pytest.approx(reported, abs=1e-6)


def test_checkpoint_reproduces_test_without_text(trained, cohort, run_eva) -> None:
    """`eva predict` on BACH's test images gives the test's own numbers; no text is left."""
    for number in range(2):
        checkpoint = next(trained.folder.rglob(f"run_{number}/checkpoints/best.ckpt"))
        config = yaml.safe_load(configs.path("predict/bach").read_text())
        datasets = config["data"]["init_args"]["datasets"]
        datasets["predict"] = {
            "class_path": "eva.vision.datasets.BACH",
            "init_args": {"root": str(cohort.bach), "split": "val"},
        }
        path = checkpoint.parent / "predict.yaml"
        path.write_text(yaml.safe_dump(config))
        run = {"CHECKPOINT": str(checkpoint), "DATA_ROOT": str(cohort.bach)}
        again = run_eva("predict", path, run)
        assert again.status == 0, again.output
        ours, theirs = _predictions(again), _predictions(trained, f"run_{number}")
        columns = [name for name in ours if name != "split"]
        assert ours[columns].equals(theirs[columns])


def test_checkpoint_holds_trained_tensors_only(trained) -> None:
    checkpoint = next(trained.folder.rglob("run_0/checkpoints/best.ckpt"))
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(".lora_" in name or name.startswith("heads.") for name in state)
    assert any(".lora_B" in name and tensor.any() for name, tensor in state.items())


def test_no_text_needs_no_text(paired_bach, run_eva) -> None:
    gone = {"REPORTS": "/nowhere/reports.csv", "PAIRING_TABLE": "/nowhere/pairs.parquet"}
    finished = run_eva(
        "fit", "clip_it/bach", {**paired_bach, **gone, "DISTILL_WEIGHT": "0", "CLIP_MODEL": "none"}
    )
    assert finished.status == 0, finished.output


@pytest.mark.parametrize(
    "ablation",
    [
        {"LORA_VISION": "false"},
        pytest.param({"WORD_DROPOUT": "0.3"}, marks=pytest.mark.long),
        {"LORA_TEXT": "true", "LORA_TARGETS": "[Linear, Conv2d, Embedding]"},
        pytest.param({"CRITERION": "softmax_cross_entropy"}, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_ablation(ablation, paired_bach, run_eva) -> None:
    finished = run_eva("fit", "clip_it/bach", {**paired_bach, **ablation})
    assert finished.status == 0, finished.output
    state = torch.load(finished.file("best.ckpt"), weights_only=True)["state_dict"]
    adapted = any(name.startswith("backbone.") for name in state)
    assert adapted == (ablation.get("LORA_VISION") != "false")


def test_vision_head_starts_from_the_unimodal_run(paired_bach, run_eva) -> None:
    unimodal = run_eva("fit", "unimodal/bach", {**paired_bach, **EPOCHS, "N_RUNS": "2"})
    still = {**paired_bach, "N_RUNS": "2", "LR_VALUE": "0", "WEIGHT_DECAY": "0"}
    finished = run_eva(
        "fit", "clip_it/bach", {**still, "VISION_HEAD_CHECKPOINT": str(unimodal.folder)}
    )
    assert finished.status == 0, finished.output
    for run in ("run_0", "run_1"):
        (head,) = unimodal.folder.rglob(f"{run}/checkpoints/best.ckpt")
        (start,) = finished.folder.rglob(f"{run}/checkpoints/best.ckpt")
        expected = torch.load(head, weights_only=True)["state_dict"]["head.weight"]
        found = torch.load(start, weights_only=True)["state_dict"]["heads.vision.weight"]
        assert torch.equal(found, expected)
        (table,) = finished.folder.rglob(f"{run}/{FILENAME}")
        assert read_predictions(table)[1]["inputs"]["vision_head"] == sha256_file(head)


def test_pairing_is_far_above_chance(paired_bach, cohort) -> None:
    pairs, _ = read_pairs(paired_bach["PAIRING_TABLE"])
    # 400 images, chance 1/4, standard deviation 2.2 points.
    assert agreement(pairs, cohort.truth) > 0.5
    ids = read_corpus(cohort.reports).ids
    replaced = replace_pairs(pairs, 1.0, ids, seed=1)
    assert agreement(replaced, cohort.truth) == pytest.approx(0.25, abs=0.09)


@pytest.mark.parametrize("mode", [pytest.param("online", marks=pytest.mark.long), "offline"])
def test_stock_eva_is_untouched(mode, cohort, server, tmp_path) -> None:
    """eva's own classes give the same bits whether or not `clipit_eva` can be imported.

    The server has imported all of it; the other process can import none.
    """
    config = tmp_path / f"{mode}.yaml"
    config.write_text(yaml.safe_dump(_stock_config(mode, cohort)))
    command = "fit" if mode == "online" else "predict_fit"
    hidden, shown = tmp_path / "hidden", tmp_path / "shown"
    lines = ["import sys", "sys.modules['clipit_eva'] = None"]
    lines += ["from eva.__main__ import main", "main()"]
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), command, "--config", str(config)],
        env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "OUTPUT_ROOT": str(hidden)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    line = ["eva", command, "--config", str(config)]
    ended = server.run(line, tmp_path, {"OUTPUT_ROOT": str(shown)}, seconds=600)
    assert ended.status == 0, ended.output
    results = []
    for folder in (hidden, shown):
        (result,) = folder.rglob("results.json")
        results.append(json.loads(result.read_text())["metrics"])
    assert results[0] == results[1]


def _stock_config(mode: str, cohort) -> dict:
    """A configuration of eva's classes alone, after its BACH benchmark."""
    transforms = {
        "class_path": "eva.vision.data.transforms.common.ResizeAndCrop",
        "init_args": {"size": 32},
    }
    images = {"root": str(cohort.bach), "download": False, "transforms": transforms}
    bach = {
        split: {"class_path": "eva.vision.datasets.BACH", "init_args": {**images, "split": split}}
        for split in ("train", "val")
    }
    backbone = {
        "class_path": "eva.vision.models.ModelFromRegistry",
        "init_args": {"model_name": "universal/vit_tiny_patch16_224_random"},
    }
    callbacks: list[dict] = [
        {"class_path": "eva.callbacks.ConfigurationLogger"},
        {
            "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
            "init_args": {"filename": "best", "monitor": "val/MulticlassAccuracy", "mode": "max"},
        },
    ]
    if mode == "online":
        return _assemble(callbacks, backbone, bach)
    embeddings = "${oc.env:OUTPUT_ROOT}/embeddings"
    writer = {"output_dir": embeddings, "dataloader_idx_map": {0: "train", 1: "val"}}
    callbacks.append(
        {
            "class_path": "eva.callbacks.ClassificationEmbeddingsWriter",
            "init_args": {**writer, "backbone": backbone},
        }
    )
    datasets: dict = {
        split: {
            "class_path": "eva.datasets.EmbeddingsClassificationDataset",
            "init_args": {"root": embeddings, "manifest_file": "manifest.csv", "split": split},
        }
        for split in ("train", "val")
    }
    return _assemble(callbacks, None, {**datasets, "predict": list(bach.values())})


def _assemble(callbacks: list[dict], backbone: dict | None, datasets: dict) -> dict:
    """Puts trainer, model and data around them."""
    trainer = {
        "n_runs": 1,
        "default_root_dir": "${oc.env:OUTPUT_ROOT}",
        "max_steps": 10,
        "accelerator": "cpu",
        "callbacks": callbacks,
        "logger": False,
    }
    metrics = {
        "class_path": "eva.metrics.MulticlassClassificationMetrics",
        "init_args": {"num_classes": 4},
    }
    head = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 192, "out_features": 4}}
    model = {
        "head": head,
        "criterion": "torch.nn.CrossEntropyLoss",
        "backbone": backbone,
        "metrics": {"common": [metrics]},
    }
    loader = {"batch_size": 64, "num_workers": 0}
    loader |= {"persistent_workers": False, "prefetch_factor": None}
    loaders = {"train": {**loader, "shuffle": True}, "val": loader, "predict": loader}
    return {
        "trainer": {"class_path": "eva.Trainer", "init_args": trainer},
        "model": {"class_path": "eva.HeadModule", "init_args": model},
        "data": {
            "class_path": "eva.DataModule",
            "init_args": {"datasets": datasets, "dataloaders": loaders},
        },
    }
