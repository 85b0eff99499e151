"""One job's process: its record, its retries, its lock."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.engines import worker
from clipit_eva.analysis.grid.store import State
from clipit_eva.errors import InputError
from clipit_eva.files import sha256_file

WRITE = "import os, pathlib; pathlib.Path(os.environ['OUTPUT_ROOT'], 'out.txt').write_text('done')"


def test_a_finished_job_says_how_it_was_made(make, tmp_path: Path) -> None:
    reports = tmp_path / "reports.txt"
    reports.write_text("one")
    job = make.job(
        "a", WRITE, products=["*.txt"], environment={"REPORTS": str(reports), "LORA_RANK": "8"}
    )
    make.grid()
    assert store.state_of(job.folder) is State.WAITING
    started = time.time()
    assert worker.run_job(job.folder) == 0
    record = store.read_record(job.folder)
    assert store.state_of(job.folder) is State.FINISHED
    assert record is not None
    assert started <= record.started <= record.ended <= time.time()
    assert record.attempts == 1
    facts = record.facts
    assert facts["command"] == list(job.command)
    assert facts["environment"]["LORA_RANK"] == "8"
    assert facts["inputs"] == {"REPORTS": sha256_file(reports)}
    assert facts["outputs"] == {"out.txt": sha256_file(job.work / "out.txt")}
    assert facts["versions"]["torch"]
    assert facts["hardware"]["cores"] >= 1
    assert 1 << 20 < facts["peak_memory"] < 1 << 33


def test_a_finished_job_is_not_run_again(make) -> None:
    job = make.job("a", WRITE, products=["*.txt"])
    make.grid()
    worker.run_job(job.folder)
    before = (job.work / "out.txt").stat().st_mtime_ns
    assert worker.run_job(job.folder) == 0
    assert (job.work / "out.txt").stat().st_mtime_ns == before


def test_what_an_interrupted_attempt_left_is_removed(make) -> None:
    job = make.job("a", WRITE, products=["*.txt"])
    make.grid()
    job.work.mkdir(parents=True)
    (job.work / "half.txt").write_text("ha")
    worker.run_job(job.folder)
    assert [path.name for path in job.work.iterdir()] == ["out.txt"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('first'); print('boom: at line 3'); raise SystemExit(4)", "boom: at line 3"),
        (
            "print('clipit-eva: error: REPORTS is not set'); print('later'); raise SystemExit(2)",
            "clipit-eva: error: REPORTS is not set",
        ),
        ("{}['missing']", "KeyError: 'missing'"),
        ("raise SystemExit(1)", "the log is empty"),
        ("pass", "left no *.txt"),
    ],
)
def test_a_failure_is_told_by_its_line(make, code: str, message: str) -> None:
    job = make.job("a", code, products=["*.txt"])
    make.grid()
    assert worker.run_job(job.folder) != 0
    record = store.read_record(job.folder)
    assert record is not None
    assert message in record.message
    assert store.state_of(job.folder) is State.FAILED
    assert record.facts["outputs"] == {}


def test_a_failed_job_is_tried_again_and_keeps_its_logs(make, tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = (
        f"import pathlib; p = pathlib.Path({str(count)!r}); p.open('a').write('x');"
        "n = len(p.read_text()); print('attempt', n); raise SystemExit(n < 3)"
    )
    job = make.job("a", code)
    make.grid(retries=2)
    assert worker.run_job(job.folder) == 0
    record = store.read_record(job.folder)
    assert record is not None
    assert record.attempts == 3
    assert [(job.folder / f"log_{n}.txt").read_text() for n in (1, 2, 3)] == [
        "attempt 1\n",
        "attempt 2\n",
        "attempt 3\n",
    ]


def test_a_job_does_not_run_before_those_it_needs(make) -> None:
    first = make.job("first")
    second = make.job("second", dependencies=[first])
    make.grid()
    with pytest.raises(InputError, match="second needs"):
        worker.run_job(second.folder)
    worker.run_job(first.folder)
    assert worker.run_job(second.folder) == 0


def test_two_workers_run_a_job_once(make, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    code = f"import time; open({str(journal)!r}, 'a').write('x'); time.sleep(1)"
    job = make.job("a", code)
    make.grid()
    command = [sys.executable, "-m", "clipit_eva.analysis.grid.engines.worker", str(job.folder)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    deadline = time.monotonic() + 20
    while not journal.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.state_of(job.folder) is State.RUNNING
    assert [process.wait(timeout=60) for process in workers] == [0, 0]
    assert journal.read_text() == "x"


def test_a_config_is_kept_as_it_was_run(make, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("rank: ${oc.env:LORA_RANK, 16}\n")
    job = make.job("a", "pass", environment={"LORA_RANK": "8"})
    make.jobs[job.digest] = job = type(job)(
        **{**vars(job), "command": (*job.command, "--config", str(config))}
    )
    make.grid()
    worker.run_job(job.folder)
    assert (job.folder / "config.yaml").read_text() == "rank: ${oc.env:LORA_RANK, 8}\n"


def test_a_folder_that_is_no_jobs_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "clipit_eva.analysis.grid.engines.worker", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "is no job of a grid" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_cancelled_job_is_no_failure_even_if_its_process_hears_of_it_first(make) -> None:
    """SLURM signals all processes of a job in any order."""
    job = make.job("a", "import time; print('here', flush=True); time.sleep(20)")
    make.grid()
    process = subprocess.Popen(worker.command(job.folder))
    log = job.folder / "log_1.txt"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert store.read_record(job.folder) is None
