"""Pairing through the real command: interruptions, processes, policies, and what is wrong."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from clipit_eva.demo.truth import agreement
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.tasks import configs, synthetic

pytestmark = pytest.mark.slow

LIVES = 12
"""Seconds within which a process is killed; a whole one takes a little longer."""


@pytest.fixture
def environment(paired_bach, tmp_path) -> dict[str, str]:
    """A pairing of the cohort with nothing embedded yet."""
    new = {"PAIRING_TABLE": str(tmp_path / "new.parquet"), "EMBEDDINGS_ROOT": str(tmp_path / "emb")}
    return {**paired_bach, **new}


@pytest.mark.long  # at exact operations: tests/faults
def test_killed_again_and_again_the_same_command_ends_with_the_same_bytes(
    environment, paired_bach, run_eva, tmp_path
) -> None:
    draw = random.Random(3)
    expected = Path(paired_bach["PAIRING_TABLE"]).read_bytes()
    table = Path(environment["PAIRING_TABLE"])
    for _ in range(6):
        _kill(environment, tmp_path, draw.uniform(0.3, 1) * LIVES)
        assert not table.exists() or table.read_bytes() == expected
    finished = run_eva("predict", "pairing/bach", environment)
    assert finished.status == 0, finished.output
    assert table.read_bytes() == expected
    assert [path.name for path in tmp_path.glob(".*")] in ([], [".new.parquet"])
    assert not list((tmp_path / "emb").glob("*.partial"))


@pytest.mark.long  # at exact operations: tests/faults
def test_killed_while_embedding_the_rows_that_were_written_are_kept(
    environment, paired_bach, tmp_path, run_eva
) -> None:
    """Killed as soon as some rows are on disk, which takes a loader that waits between batches."""
    expected = Path(paired_bach["PAIRING_TABLE"]).read_bytes()
    slow = tmp_path / "sitecustomize.py"
    slow.write_text(
        "import time\n"
        "import clipit_eva.embeddings.row_store as store\n"
        "write = store.RowStore.write\n"
        "def wait(self, rows, values):\n"
        "    write(self, rows, values)\n"
        "    time.sleep(1)\n"
        "store.RowStore.write = wait\n"
    )
    process = _start({**environment, "PYTHONPATH": str(tmp_path)}, tmp_path)
    folder = tmp_path / "emb"
    while process.poll() is None and not any(
        _written(path) for path in folder.glob("images*.marks")
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (marks, *_) = [path for path in folder.glob("images*.marks") if _written(path)]
    before = _written(marks)
    assert 0 < before < 268
    finished = run_eva("predict", "pairing/bach", environment)
    assert finished.status == 0, finished.output
    assert Path(environment["PAIRING_TABLE"]).read_bytes() == expected


def test_two_processes_embed_each_image_once(environment, paired_bach, run_eva, tmp_path) -> None:
    counter = tmp_path / "sitecustomize.py"
    counter.write_text(
        "import os\n"
        "import clipit_eva.embeddings.row_store as store\n"
        "write = store.RowStore.write\n"
        "def note(self, rows, values):\n"
        "    write(self, rows, values)\n"
        "    if 'images' in self.file.name:\n"
        f"        with open({str(tmp_path / 'rows')!r}, 'a') as file:\n"
        "            file.writelines(f'{os.getpid()} {self.file.name} {row}\\n' for row in rows)\n"
        "store.RowStore.write = note\n"
    )
    two = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    finished = run_eva(
        "predict", "pairing/bach", {**environment, "PYTHONPATH": str(tmp_path)}, *two
    )
    assert finished.status == 0, finished.output
    lines = [line.split() for line in (tmp_path / "rows").read_text().splitlines()]
    assert len({process for process, _, _ in lines}) == 2
    assert len(lines) == len({(file, row) for _, file, row in lines}) == 400
    expected = Path(paired_bach["PAIRING_TABLE"]).read_bytes()
    assert Path(environment["PAIRING_TABLE"]).read_bytes() == expected


@pytest.mark.parametrize("policy", ["csls", "inverted_softmax"])
def test_hubness_corrected_pairs_are_still_far_above_chance(
    policy, environment, paired_bach, cohort, run_eva
) -> None:
    shared = {"EMBEDDINGS_ROOT": paired_bach["EMBEDDINGS_ROOT"], "PAIRING_POLICY": policy}
    _pair({**environment, **shared}, run_eva)
    pairs, made = read_pairs(environment["PAIRING_TABLE"])
    assert agreement(pairs, cohort.truth) > 0.5
    assert made["policy"]["name"] == policy
    assert "control" not in made


@pytest.mark.parametrize("policy", ["shuffled", "random", "constant"])
def test_controls_are_at_chance(policy, environment, paired_bach, cohort, run_eva) -> None:
    shared = {"EMBEDDINGS_ROOT": paired_bach["EMBEDDINGS_ROOT"], "PAIRING_POLICY": policy}
    _pair({**environment, **shared}, run_eva)
    pairs, made = read_pairs(environment["PAIRING_TABLE"])
    assert made["control"] == policy
    assert pairs["similarity"].isna().all()
    # 400 images, chance 1/4, standard deviation 2.2 points; constant is one class's share.
    assert agreement(pairs, cohort.truth) == pytest.approx(0.25, abs=0.09)
    nearest, _ = read_pairs(paired_bach["PAIRING_TABLE"])
    if policy == "shuffled":
        for split, rows in pairs.groupby("split"):
            same = nearest[nearest["split"] == split]
            assert sorted(rows["report_id"]) == sorted(same["report_id"])


@pytest.mark.parametrize("policy", ["chunk", pytest.param("mean", marks=pytest.mark.long)])
def test_all_stages_use_the_same_texts(policy, environment, run_eva) -> None:
    environment = {
        **environment,
        "REPORT_POLICY": policy,
        "REPORT_CLEANING": "true",
        "REPORT_DUPLICATES": "drop_near",
        "TOP_K": "2",
    }
    finished = _pair(environment, run_eva)
    assert f"policy '{policy}' drops 0.0% of the tokens" in finished.output
    for config in ("clip_it/bach", "text_only/bach"):
        finished = run_eva("fit", config, environment)
        assert finished.status == 0, finished.output
    finished = run_eva("fit", "clip_it/bach", {**environment, "WORD_DROPOUT": "0.3"})
    assert finished.status == 0, finished.output
    finished = run_eva("fit", "clip_it/bach", {**environment, "REPORT_POLICY": "truncate"})
    assert finished.status == 2
    assert "was made of other reports" in finished.error


def test_prompts_stand_in_for_reports(environment, run_eva) -> None:
    environment = {**environment, "REPORTS": "prompts:bach"}
    _pair(environment, run_eva)
    pairs, _ = read_pairs(environment["PAIRING_TABLE"])
    assert set(pairs["report_id"].str.partition("-")[0]) <= {
        "Normal", "Benign", "InSitu", "Invasive"
    }  # fmt: skip
    finished = run_eva("fit", "clip_it/bach", environment)
    assert finished.status == 0, finished.output


def _pair(environment, run_eva):
    finished = run_eva("predict", "pairing/bach", environment)
    assert finished.status == 0, finished.output
    return finished


def _written(path: Path) -> int:
    """The number of rows that have a mark."""
    data = path.read_bytes()
    return sum(any(data[start : start + 4]) for start in range(0, len(data), 4))


def _start(environment: dict[str, str], folder: Path) -> subprocess.Popen:
    command = [str(Path(sys.executable).with_name("eva")), "predict", "--config"]
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.Popen(
        [*command, str(configs.path("pairing/bach"))],
        env={**clean, **synthetic.SHARED, **environment, "OUTPUT_ROOT": str(folder / "logs")},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kill(environment: dict[str, str], folder: Path, seconds: float) -> None:
    process = _start(environment, folder)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


# What is wrong with the input: one line, status 2.


def _assert_one_line(finished, *words: str) -> None:
    assert finished.status == 2, finished.output
    assert all(word in finished.error for word in words), finished.output
    assert "Traceback" not in finished.output


@pytest.mark.parametrize("workers", [True, False])
def test_image_that_cannot_be_decoded(workers, environment, cohort, run_eva, tmp_path) -> None:
    root = tmp_path / "bach"
    shutil.copytree(cohort.bach, root)
    (image,) = root.rglob("b037.tif")
    image.write_bytes(b"not an image")
    loading = {"N_DATA_WORKERS": "2", "PERSISTENT_WORKERS": "true", "PREFETCH_FACTOR": "2"}
    changed = {**environment, **(loading if workers else {}), "DATA_ROOT": str(root)}
    finished = run_eva("predict", "pairing/bach", changed)
    _assert_one_line(finished, "image ", "b037.tif", "cannot be read")
    assert len(finished.error) < 400


def test_reports_with_only_blanks(environment, run_eva, tmp_path) -> None:
    (tmp_path / "r.csv").write_text("report_id,text\na,tissue\nb,   \n")
    finished = run_eva(
        "predict", "pairing/bach", {**environment, "REPORTS": str(tmp_path / "r.csv")}
    )
    _assert_one_line(finished, "r.csv, line 3", "blank")


def test_report_longer_than_ten_megabytes(environment, run_eva, tmp_path) -> None:
    (tmp_path / "r.txt").write_text("tissue\n" + "tissue " * 1_500_000 + "\n")
    finished = run_eva(
        "predict", "pairing/bach", {**environment, "REPORTS": str(tmp_path / "r.txt")}
    )
    _assert_one_line(finished, "r.txt, line 2", "more than 10,000,000")


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(next(synthetic.CLIP_FOLDER.glob("*.safetensors")))


@pytest.mark.parametrize("tower", ["visual", "text"])
def test_weights_that_give_no_numbers(tower, weights, environment, run_eva, tmp_path) -> None:
    for name, value in weights.items():
        if name.startswith("visual.") == (tower == "visual") and value.is_floating_point():
            value.fill_(float("nan"))
    file = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(weights, file)
    finished = run_eva("predict", "pairing/bach", {**environment, "CLIP_CHECKPOINT": str(file)})
    _assert_one_line(finished, "not numbers", "CLIP_CHECKPOINT")


def test_checkpoint_of_another_architecture(weights, environment, run_eva, tmp_path) -> None:
    file = tmp_path / "weights.safetensors"
    weights.pop(next(iter(weights)))
    safetensors.torch.save_file(weights, file)
    finished = run_eva("predict", "pairing/bach", {**environment, "CLIP_CHECKPOINT": str(file)})
    _assert_one_line(finished, "weights.safetensors does not fit the model's architecture")


def test_cache_made_by_other_weights(weights, environment, run_eva, tmp_path) -> None:
    """Other weights have files of their own; files that were renamed are refused."""
    _pair(environment, run_eva)
    folder = Path(environment["EMBEDDINGS_ROOT"])
    (first, *_) = folder.glob("reports-*.json")
    before = set(folder.iterdir())
    file = tmp_path / "weights.safetensors"
    weights[
        "text.text_projection" if "text.text_projection" in weights else next(iter(weights))
    ] += 1
    safetensors.torch.save_file(weights, file)
    other = {**environment, "CLIP_CHECKPOINT": str(file)}
    _pair(other, run_eva)
    (second,) = set(folder.glob("reports-*.json")) - before
    for suffix in (".json", ".npy"):
        os.replace(first.with_suffix(suffix), second.with_suffix(suffix))
    _assert_one_line(run_eva("predict", "pairing/bach", other), "another weights", "delete")


@pytest.mark.parametrize("place", ["EMBEDDINGS_ROOT", "PAIRING_TABLE"])
def test_full_disk(place, paired_bach, environment, run_eva, small_disk) -> None:
    filler = small_disk / "filler"
    if place == "EMBEDDINGS_ROOT":
        changed = {**environment, place: str(small_disk)}
    else:
        filler.write_bytes(bytes(60_000))
        changed = {**paired_bach, place: str(small_disk / "pairs.parquet")}
    finished = run_eva("predict", "pairing/bach", changed)
    _assert_one_line(finished, "cannot be written: no space left on device")
    # What is left is whole: what the embeddings are of, and how the reports were split.
    for path in small_disk.iterdir():
        if path != filler:
            assert path.suffix in (".json", ".parquet", ".npy")
            assert not path.name.startswith(".")
    for path in small_disk.glob("*.parquet"):
        pd.read_parquet(path)
    for path in small_disk.glob("*.npy"):
        np.load(path)
