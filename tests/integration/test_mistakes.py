"""A user's mistakes, through the real command: one line, status 2, no traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from clipit_eva.demo.cohort import make_cohort
from clipit_eva.pairing.pairing_table import read_pairs, write_pairs

pytestmark = pytest.mark.slow

Environment = dict[str, str]
Spoil = Callable[[Environment, Path], Environment]


def _write(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def _without_first_pair(environment: Environment, folder: Path) -> Environment:
    pairs, provenance = read_pairs(environment["PAIRING_TABLE"])
    # The hold-out takes part of `train`: without any pair, some train image lacks one.
    write_pairs(pairs.iloc[:0], folder / "pairs.parquet", provenance)
    return {"PAIRING_TABLE": str(folder / "pairs.parquet")}


def _of_other_dataset(environment: Environment, folder: Path) -> Environment:
    pairs, provenance = read_pairs(environment["PAIRING_TABLE"])
    provenance["datasets"]["train"]["class"] = "eva.vision.data.datasets.crc.CRC"
    write_pairs(pairs, folder / "pairs.parquet", provenance)
    return {"PAIRING_TABLE": str(folder / "pairs.parquet")}


def _wrong_column(environment: Environment, folder: Path) -> Environment:
    reports = pd.DataFrame({"report_id": ["a"], "body": ["tissue"]})
    reports.to_csv(folder / "reports.csv", index=False)
    return {"REPORTS": str(folder / "reports.csv")}


PAIRING: dict[str, tuple[Spoil, str]] = {
    "missing_reports": (lambda e, f: {"REPORTS": str(f / "none.csv")}, "none.csv"),
    "empty_reports": (lambda e, f: {"REPORTS": _write(f, "empty.txt", b"")}, "empty.txt"),
    "duplicate_id": (
        lambda e, f: {"REPORTS": _write(f, "r.csv", b"report_id,text\nr7,a\nr7,b\n")},
        "r7",
    ),
    "wrong_column": (_wrong_column, "body"),
    "not_utf8": (lambda e, f: {"REPORTS": _write(f, "r.txt", b"tissue \xff\xfe\n")}, "r.txt"),
    "unknown_clip": (lambda e, f: {"CLIP_MODEL": "ViT-B-23"}, "ViT-B-32"),
    "top_k_zero": (lambda e, f: {"TOP_K": "0"}, "TOP_K"),
}
"""What is wrong with a pairing, and a word that the message must hold."""

TRAINING: dict[str, tuple[Spoil, str]] = {
    "pairs_of_other_dataset": (_of_other_dataset, "crc.CRC"),
    "pairs_of_other_reports": (
        lambda e, f: {"REPORTS": str(make_cohort(f, seed=2).reports)},
        "other reports",
    ),
    "image_without_pair": (_without_first_pair, "Benign/b0"),
    "no_pairing_table": (lambda e, f: {"PAIRING_TABLE": str(f / "none.parquet")}, "none.parquet"),
    "wrong_in_features": (lambda e, f: {"IN_FEATURES": "7"}, "IN_FEATURES=96"),
    "wrong_text_features": (lambda e, f: {"TEXT_FEATURES": "7"}, "TEXT_FEATURES"),
    "empty_number": (lambda e, f: {"MAX_STEPS": ""}, "MAX_STEPS is set to nothing"),
    "empty_text": (lambda e, f: {"REPORT_COLUMN": ""}, "REPORT_COLUMN is set to nothing"),
    "negative_rank": (lambda e, f: {"LORA_RANK": "-1"}, "LORA_RANK=-1"),
    "target_matches_nothing": (lambda e, f: {"LORA_TARGETS": "[nothing]"}, "'nothing'"),
    "corrupt_head": (
        lambda e, f: {"VISION_HEAD_CHECKPOINT": _write(f, "best.ckpt", b"PK not a zip")},
        "best.ckpt",
    ),
}


@pytest.mark.parametrize("mistake", PAIRING)
def test_pairing_mistake(mistake, paired_bach, run_eva, tmp_path) -> None:
    spoil, word = PAIRING[mistake]
    table = {"PAIRING_TABLE": str(tmp_path / "new.parquet")}
    environment = {**paired_bach, **table, **spoil(paired_bach, tmp_path)}
    _assert_one_line(run_eva("predict", "pairing/bach", environment), word)
    assert not (tmp_path / "new.parquet").exists()


@pytest.mark.parametrize("mistake", TRAINING)
def test_training_mistake(mistake, paired_bach, run_eva, tmp_path) -> None:
    spoil, word = TRAINING[mistake]
    environment = {**paired_bach, **spoil(paired_bach, tmp_path)}
    _assert_one_line(run_eva("fit", "clip_it/bach", environment), word)


@pytest.mark.parametrize("part", ["model", "data.init_args.datasets.train"])
def test_reports_overridden_in_one_part_alone(part, paired_bach, run_eva, tmp_path) -> None:
    option = f"--{part}.init_args.reports.init_args.path"
    others = str(make_cohort(tmp_path, seed=2).reports)
    finished = run_eva("fit", "clip_it/bach", paired_bach, option, others)
    # Data of other reports are refused earlier, by what the pairing table says it was made of.
    fields = "model.init_args.reports and data...train.init_args.reports"
    _assert_one_line(finished, fields if part == "model" else "other reports")
    assert not list(finished.folder.rglob("*.ckpt"))


def test_training_on_a_truncated_image(cohort, bach, run_eva, tmp_path) -> None:
    """OpenCV would fill the missing half with grey."""
    shutil.copytree(cohort.bach, tmp_path / "bach")
    (image,) = tmp_path.rglob("b037.tif")
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    changed = {**bach, "DATA_ROOT": str(tmp_path / "bach"), "MAX_STEPS": "20"}
    _assert_one_line(run_eva("fit", "unimodal/bach", changed), "b037.tif cannot be read")


@pytest.mark.parametrize(
    "option",
    [
        "--model.init_args.distil_weight=1",
        "--data.init_args.datasets.train.init_args.topk=1",
        "--trainer.init_args.callbacks.5.init_args.branches=vision",
    ],
)
def test_an_argument_that_nothing_takes(option, paired_bach, run_eva) -> None:
    finished = run_eva("fit", "clip_it/bach", paired_bach, option)
    assert finished.status == 2, finished.output
    assert option.partition("=")[0].rpartition(".")[2] in finished.output
    assert "Traceback" not in finished.output


@pytest.mark.parametrize(
    ("config", "variable"), [("unimodal/bach", "IN_FEATURES"), ("text_only/bach", "TEXT_FEATURES")]
)
def test_baseline_width_mistake(config, variable, paired_bach, run_eva) -> None:
    _assert_one_line(run_eva("fit", config, {**paired_bach, variable: "7"}), f"set {variable}=")


@pytest.mark.parametrize("content", [None, b"PK not a zip"])
def test_prediction_checkpoint_mistake(content, paired_bach, run_eva, tmp_path) -> None:
    checkpoint = tmp_path / "best.ckpt"
    if content is not None:
        checkpoint.write_bytes(content)
    environment = {**paired_bach, "CHECKPOINT": str(checkpoint)}
    _assert_one_line(run_eva("predict", "predict/bach", environment), "best.ckpt")


def _assert_one_line(finished, word: str) -> None:
    assert finished.status == 2, finished.output
    assert word in finished.error, finished.output
    assert "Traceback" not in finished.output
