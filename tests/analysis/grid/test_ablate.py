"""`clipit-eva ablate` as a user calls it, without running anything long."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = """
seeds: [1]
tasks:
  bach: {cohort: 1}
backbones:
  demo: {}
methods: {unimodal: {}, clip_it: {}}
"""


def _ablate(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clipit_eva.cli", "ablate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def test_dry_run_lists_jobs_and_commands_and_writes_nothing(plan: Path, tmp_path: Path) -> None:
    answer = _ablate(plan, "--output", "out", "--dry-run", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    for words in (
        "clip_it/bach/demo/seed_1 (to run)",
        "after pairing/bach",
        "after unimodal/bach/demo/seed_1",
        "eva fit --config",
        "EVA_GLOBAL_SEED=1",
        "9 jobs (1 cohort, 1 embeddings, 2 pairing, 1 unimodal, 3 clip_it, 1 report); 0 finished",
    ):
        assert words in answer.stdout
    assert not (tmp_path / "out").exists()


def test_status_of_what_has_not_begun(plan: Path, tmp_path: Path) -> None:
    answer = _ablate(plan, "--output", "out", "--status", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "9 jobs: 9 waiting" in answer.stdout
    assert not (tmp_path / "out").exists()


def test_a_shipped_plan_is_known_by_name(tmp_path: Path) -> None:
    answer = _ablate("ablations/demo", "--output", "out", "--dry-run", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "clip_it/bach/demo/word_dropout/seed_2" in answer.stdout


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (PLAN, ["--jobs", "-1"], ["--jobs -1"]),
        (PLAN, ["--only", "nothing"], ["--only nothing"]),
        (PLAN, ["--engine", "pbs"], ["--engine"]),
        (PLAN, ["--cancel"], ["--cancel", "slurm"]),
        (PLAN.replace("demo: {}", "demo: {LORA_RNK: 1}"), [], ["LORA_RNK", "LORA_RANK"]),
        (PLAN.replace("[1]", "[1, 1]"), [], ["seed 1 is repeated"]),
        (PLAN.replace("bach:", "bahc:"), [], ["bahc"]),
        (
            PLAN.replace("cohort: 1", "DATA_ROOT: /nowhere, REPORTS: r.txt"),
            [],
            ["DATA_ROOT=/nowhere", "does not exist"],
        ),
        (PLAN.replace("cohort: 1", "DATA_ROOT: ."), [], ["REPORTS is not set"]),
    ],
)
def test_a_mistake_ends_in_one_line_and_starts_nothing(
    tmp_path: Path, text: str, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    answer = _ablate("plan.yaml", "--output", "out", *arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in answer.stderr
    assert not (tmp_path / "out").exists()


def test_slurm_that_is_not_there_is_one_line(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = _ablate(plan, "--output", "out", "--engine", "slurm", cwd=tmp_path)
    assert answer.returncode == 2
    assert len(answer.stderr.strip().splitlines()) == 1
    assert "sbatch" in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    answer = _ablate(plan, "--output", "out", cwd=tmp_path)
    assert answer.returncode == 2
    assert "holds no grid" in answer.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_the_status_of_a_thousand_jobs_takes_two_seconds(tmp_path: Path) -> None:
    ranks = ", ".join(map(str, range(1, 101)))
    text = PLAN.replace("[1]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]")
    (tmp_path / "plan.yaml").write_text(f"{text}factors:\n  lora: {{LORA_RANK: [{ranks}]}}\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = _ablate("plan.yaml", "--output", "out", "--status", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, since other tests run beside; the command has one thread and waits for none.
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert answer.returncode == 0, answer.stderr
    assert "1035 jobs: 1035 waiting" in answer.stdout
    assert seconds < 2
