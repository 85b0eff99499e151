"""The local engine with real processes; kills of the driver are in test_kills.py."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.engines import worker
from clipit_eva.analysis.grid.engines.local import run_local
from clipit_eva.analysis.grid.store import State
from clipit_eva.errors import InputError

SLEEPS = "import time; time.sleep(120)"
WORK = "import os, pathlib; work = pathlib.Path(os.environ['OUTPUT_ROOT']); "


def appends(path) -> str:
    """Returns code that notes in a file that it runs."""
    return f"open({str(path)!r}, 'a').write('x'); "


def meets(folder, name: str, count: int) -> str:
    """Returns code that goes on as soon as so many jobs have come to it."""
    return (
        f"import pathlib, time; here = pathlib.Path({str(folder)!r}); "
        f"here.mkdir(exist_ok=True); (here / {name!r}).touch()\n"
        f"while len(list(here.iterdir())) < {count}: time.sleep(0.01)\n"
    )


def names(make, digests) -> set[str]:
    return {make.jobs[digest].name for digest in digests}


def test_failure_cancels_what_needs_it_and_the_rest_goes_on(make, tmp_path):
    tries = tmp_path / "tries"
    first = make.job("first")
    bad = make.job("bad", appends(tries) + "raise SystemExit('no such luck')", dependencies=[first])
    child = make.job("child", dependencies=[bad, first])
    grandchild = make.job("grandchild", dependencies=[child])
    make.job("other", dependencies=[first])
    grid = make.grid(retries=2)

    outcome = run_local(grid, 2, progress=False)

    assert names(make, outcome.finished) == {"first", "other"}
    assert outcome.failed == {bad.digest: "no such luck"}
    assert outcome.cancelled == {child.digest: bad.digest, grandchild.digest: bad.digest}
    record = store.read_record(bad.folder)
    assert (record.status, record.attempts, len(tries.read_text())) == (1, 3, 3)
    assert [p.read_text() for p in sorted(bad.folder.glob("log_*"))] == ["no such luck\n"] * 3
    assert store.state_of(bad.folder) is State.FAILED
    for job in (child, grandchild):
        assert store.state_of(job.folder) is State.WAITING
        assert [path.name for path in job.folder.iterdir()] == ["job.json"]


def test_a_new_call_tries_again_what_failed_and_nothing_else(make, tmp_path):
    done, mended = tmp_path / "done", tmp_path / "mended"
    first = make.job("first", appends(done))
    bad = make.job("bad", f"open({str(mended)!r})", dependencies=[first])
    child = make.job("child", dependencies=[bad])
    grid = make.grid()
    assert set(run_local(grid, 1, progress=False).failed) == {bad.digest}
    assert "FileNotFoundError" in store.read_record(bad.folder).message
    mended.touch()
    outcome = run_local(grid, 1, progress=False)
    assert set(outcome.finished) == {first.digest, bad.digest, child.digest}
    assert (outcome.failed, outcome.cancelled) == ({}, {})
    assert done.read_text() == "x"


def test_a_job_may_fail_before_it_succeeds(make, tmp_path):
    tries = tmp_path / "tries"
    code = appends(tries) + f"raise SystemExit(len(open({str(tries)!r}).read()) < 2)"
    job = make.job("flaky", code)
    assert run_local(make.grid(retries=3), 1, progress=False).failed == {}
    assert store.read_record(job.folder).attempts == 2


def test_each_running_job_has_a_gpu_of_its_own_and_its_share_of_cores(make, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    sees = WORK + (
        "import json; seen = {n: os.environ[n] for n in ('CUDA_VISIBLE_DEVICES', "
        "'OMP_NUM_THREADS')}; (work / 'seen').write_text(json.dumps(seen))"
    )
    for number, environment in enumerate(({}, {"OMP_NUM_THREADS": "7"})):
        dependencies = list(make.jobs.values())  # the first two jobs run together, then the others
        for name in "ab":
            code = meets(tmp_path / f"pair_{number}", name, 2) + sees
            make.job(f"{name}{number}", code, dependencies=dependencies, environment=environment)
    assert run_local(make.grid(), 2, progress=False).failed == {}
    seen = [json.loads((job.work / "seen").read_text()) for job in make.jobs.values()]
    share = str(max(1, len(os.sched_getaffinity(0)) // 2))
    for pair, threads in ((seen[:2], share), (seen[2:], "7")):
        assert sorted(s["CUDA_VISIBLE_DEVICES"] for s in pair) == ["0", "1"]
        assert {s["OMP_NUM_THREADS"] for s in pair} == {threads}


def test_no_more_jobs_than_asked_for_run_at_a_time(make, tmp_path):
    journal = tmp_path / "journal"
    code = (
        f"import time; file = open({str(journal)!r}, 'a', buffering=1); "
        "file.write('+\\n'); time.sleep(0.5); file.write('-\\n')"
    )
    for number in range(5):
        make.job(str(number), code)
    assert run_local(make.grid(), 2, progress=False).failed == {}
    running = [0]
    for line in journal.read_text().split():
        running.append(running[-1] + (1 if line == "+" else -1))
    assert (max(running), running[-1]) == (2, 0)


def test_only_some_jobs_and_what_they_need(make):
    first, second, third = make.job("first"), make.job("second"), make.job("third")
    last = make.job("last", dependencies=[first, second])
    outcome = run_local(make.grid(), 2, only=[last.digest], progress=False)
    assert set(outcome.finished) == {first.digest, second.digest, last.digest}
    assert store.state_of(third.folder) is State.WAITING


def test_bad_calls_start_nothing(make):
    job = make.job("job")
    grid = make.grid()
    with pytest.raises(InputError, match="parallel is 0; it must be at least 1"):
        run_local(grid, 0)
    with pytest.raises(InputError, match="c0ffee is no job of the grid"):
        run_local(grid, 1, only=["c0ffee"])
    (job.folder / "record.json").write_text("{")
    with pytest.raises(InputError, match=r"record\.json is damaged; delete it"):
        run_local(grid, 1)
    assert not (job.folder / "lock").exists()


def test_a_worker_that_dies_counts_as_a_failure_that_has_a_record(make):
    kills = (
        "import os, signal; stat = open(f'/proc/{os.getppid()}/stat').read(); "
        "os.kill(int(stat.rpartition(')')[2].split()[1]), signal.SIGKILL); " + SLEEPS
    )
    bad = make.job("bad", kills)
    child = make.job("child", dependencies=[bad])
    grid = make.grid()
    began = time.monotonic()
    for _ in range(2):
        outcome = run_local(grid, 1, progress=False)
        assert outcome.failed == {bad.digest: "its worker ended with status 137: the log is empty"}
        assert outcome.cancelled == {child.digest: bad.digest}
        assert store.state_of(bad.folder) is State.FAILED
    assert time.monotonic() - began < 60


def test_sigterm_ends_a_worker_and_its_job(make, processes_of, until):
    job = make.job("job", WORK + "(work / 'half').touch(); " + SLEEPS)
    folder = make.grid().folder
    process = subprocess.Popen(worker.command(job.folder))
    until((job.work / "half").is_file)
    process.terminate()
    assert process.wait(10) == 143
    assert processes_of(folder) == {}
    assert store.read_record(job.folder) is None


@pytest.mark.parametrize(
    ("number", "status", "whole_group"),
    [
        (signal.SIGINT, 130, True),  # as a terminal does it
        (signal.SIGINT, 130, False),
        (signal.SIGTERM, 143, False),
    ],
)
def test_signals_end_all_processes_before_the_driver(
    number, status, whole_group, make, drive, processes_of, until
):
    done = make.job("done")
    family = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); {SLEEPS}"
    )
    code = WORK + "(work / 'half').touch(); " + family
    running = [make.job(name, code, dependencies=[done]) for name in "ab"]
    waiting = make.job("waiting")
    grid = make.grid()
    driver = drive(grid.folder, parallel=2)
    sleeper = f"-c {SLEEPS} "
    until(lambda: sum(c.endswith(sleeper) for c in processes_of(grid.folder).values()) == 2)
    (os.killpg if whole_group else os.kill)(driver.pid, number)
    assert driver.wait(20) == status
    assert processes_of(grid.folder) == {}
    assert f"ended by {number.name}" in driver.stderr.read()
    for job in running:
        assert store.state_of(job.folder) is State.WAITING
    assert store.is_finished(done.folder)
    assert store.state_of(waiting.folder) in (State.WAITING, State.FINISHED)
    assert list(grid.folder.rglob(".*")) == []


def test_two_drivers_on_one_folder_run_each_job_once(make, tmp_path, drive):
    journals = []
    for number in range(6):
        journals.append(tmp_path / f"journal_{number}")
        make.job(str(number), f"import time; {appends(journals[-1])} time.sleep(0.5)")
    grid = make.grid()
    drivers = [drive(grid.folder, parallel=2) for _ in range(2)]
    assert [driver.wait(60) for driver in drivers] == [0, 0]
    assert [journal.read_text() for journal in journals] == ["x"] * 6
    assert all(store.is_finished(job.folder) for job in grid.jobs.values())


def test_a_driver_takes_over_what_another_one_leaves(make, tmp_path, drive, until):
    tries, go = tmp_path / "tries", tmp_path / "go"
    code = f"import os, time; {appends(tries)}\nwhile not os.path.exists({str(go)!r}): "
    job = make.job("job", code + "time.sleep(0.02)")
    grid = make.grid()
    first = drive(grid.folder)
    until(tries.is_file)
    second = drive(grid.folder)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(3)
    assert tries.read_text() == "x"
    first.kill()
    until(lambda: tries.read_text() == "xx", 10)
    go.touch()
    assert second.wait(20) == 0
    assert store.is_finished(job.folder)


def test_without_a_terminal_each_job_that_ends_is_a_line(make, drive):
    good = make.job("good")
    bad = make.job("bad", "raise SystemExit('no such luck')", dependencies=[good])
    driver = drive(make.grid().folder)
    assert driver.wait(60) == 1
    finished, failed = driver.stderr.read().splitlines()
    assert re.fullmatch(r"finished 1 of 2: good, \d+ s", finished)
    assert failed == f"failed: bad: no such luck (log: {bad.folder / 'log_1.txt'})"


def test_a_terminal_shows_counts_rate_and_time_left(make, drive):
    first = make.job("first", "import time; time.sleep(2)")
    bad = make.job("bad", "import time; time.sleep(1); exit('no such luck')", dependencies=[first])
    make.job("child", dependencies=[bad])
    folder = make.grid().folder
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    driver = drive(folder, parallel=1, stderr=end)
    os.close(end)
    shown = ""
    while True:
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            break
    os.close(terminal)
    assert driver.wait(60) == 1
    lines = shown.replace("\r", "\n").split("\n")
    assert "failed: bad: no such luck" in shown
    half = [line for line in lines if "1/3" in line and "finished=1, running=1" in line]
    # One of three jobs in over 2 s: over 2 s a job, and over 4 s left.
    (left, pace), *_ = (re.search(r"<00:(\d+), +([\d.]+)s/job", line).groups() for line in half)
    assert int(left) >= 4
    assert float(pace) >= 2
    assert any("3/3" in line and "failed=1, cancelled=1" in line for line in lines)


@pytest.mark.slow
def test_a_finished_grid_of_a_thousand_jobs_is_left_alone_at_once(make, drive):
    first = make.job("0")
    for number in range(1, 1000):
        make.job(str(number), dependencies=[first])
    grid = make.grid()
    assert set(run_local(grid, 1, only=[first.digest], progress=False).finished) == {first.digest}
    record = (first.folder / "record.json").read_text()
    for job in grid.jobs.values():
        (job.folder / "record.json").write_text(record)
    before = {path: path.stat().st_mtime_ns for path in grid.folder.rglob("*")}
    began = time.monotonic()
    driver = drive(grid.folder)
    assert driver.wait(60) == 0
    assert time.monotonic() - began < 5
    assert {path: path.stat().st_mtime_ns for path in grid.folder.rglob("*")} == before
