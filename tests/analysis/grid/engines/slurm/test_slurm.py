"""The SLURM engine on a real SLURM: what is submitted, waits, runs, fails, and is found again."""

import contextlib
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.engines import slurm
from clipit_eva.analysis.grid.plan.job import Grid, Job
from clipit_eva.errors import InputError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm_cluster")]

COUNT = "open(os.environ['OUTPUT_ROOT'] + '/../runs', 'a').write('x')"
"""Code by which a job counts how often it was started."""

SLEEP = "import time; time.sleep(60)"

DRIVER = """
import pathlib, sys
from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.engines import slurm
from clipit_eva.analysis.grid.plan.job import Grid
root = pathlib.Path(sys.argv[1])
jobs = [store.read_job(folder)[0] for folder in (root / "jobs").iterdir()]
print("start", flush=True)
for one in slurm.submit(Grid.of(root, jobs), slurm.read_settings({"memory": "50M"})):
    print(f"{one.job.name}:{one.id}:{one.is_new}")
"""
"""A process that submits the grid of a folder, prints what it did, and ends."""

PLAIN = slurm.read_settings({"time": "5", "memory": "50M"})


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the cluster does not get there"
        time.sleep(0.2)


def wait_for_end(grid: Grid) -> None:
    wait(lambda: not any(queued.is_live for queued in slurm.jobs_of(grid).values()))


def wait_for_state(grid: Grid, job: Job, state: str) -> None:
    wait(lambda: slurm.jobs_of(grid)[job.digest].state == state)


def runs(job: Job) -> int:
    path = job.folder / "runs"
    return len(path.read_text()) if path.exists() else 0


def numbers(submitted: list[slurm.Submitted]) -> dict[str, str]:
    return {one.job.name: one.id for one in submitted}


def facts(number: str) -> dict[str, str]:
    """Returns what SLURM says of a SLURM job."""
    text = subprocess.run(
        ["scontrol", "show", "job", number], capture_output=True, text=True, check=True
    ).stdout
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def processes(job: Job) -> int:
    """Returns the number of processes that run a job's own code."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended
            words = (process / "cmdline").read_bytes().split(b"\0")
            root = f"OUTPUT_ROOT={job.work}".encode()
            found += words[:3] == [w.encode() for w in job.command] and root in (
                process / "environ"
            ).read_bytes().split(b"\0")
    return found


def names_in_queue() -> list[str]:
    command = ["squeue", "--noheader", "--format=%j"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def states(grid: Grid) -> dict[str, str]:
    """Returns the states of SLURM jobs by the names of their jobs."""
    return {grid.jobs[digest].name: queued.state for digest, queued in slurm.jobs_of(grid).items()}


def test_driver_may_exit_and_the_same_call_attaches(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain is submitted by a process that ends; every job runs once, after those it needs."""
    secret = "token-that-no-file-may-hold"
    monkeypatch.setenv("HF_TOKEN", secret)
    go = make.folder.parent / "go"
    wait_first = f"import os, time; {COUNT}\nwhile not os.path.exists({str(go)!r}): time.sleep(.1)"
    token = (
        f"import os, hashlib, pathlib; {COUNT}; pathlib.Path(os.environ['OUTPUT_ROOT'], 'token')"
        ".write_text(hashlib.sha256(os.environ['HF_TOKEN'].encode()).hexdigest())"
    )
    first = make.job("first", wait_first)
    second = make.job("second", token, dependencies=[first], products=["token"])
    third = make.job("third", f"import os; {COUNT}", dependencies=[first, second])
    grid = make.grid()
    output = subprocess.run(
        [sys.executable, "-c", DRIVER, str(grid.folder)], capture_output=True, text=True, check=True
    ).stdout
    by_driver = dict(word.split(":")[:2] for word in output.split()[1:])
    assert output.count("True") == 3

    attached = slurm.submit(grid, PLAIN)
    assert numbers(attached) == by_driver
    assert not any(one.is_new for one in attached)

    (grid.folder / "slurm.json").unlink()
    found = slurm.submit(grid, PLAIN)  # by their names
    assert numbers(found) == by_driver
    assert not any(one.is_new for one in found)
    assert slurm.jobs_of(grid)[third.digest].state == "PENDING"
    go.touch()
    wait_for_end(grid)

    assert [runs(job) for job in (first, second, third)] == [1, 1, 1]
    records = [store.read_record(job.folder) for job in (first, second, third)]
    assert all(record and record.status == 0 for record in records)
    for before, after in pairwise(records):
        assert before.ended <= after.started
    wait(lambda: set(states(grid).values()) == {"COMPLETED"})
    assert slurm.submit(grid, PLAIN) == []

    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert (second.work / "token").read_text() == digest  # the job had it
    files = [path for path in grid.folder.rglob("*") if path.is_file()]
    assert any(path.parent.name == "slurm" for path in files)
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_failed_job_takes_its_dependants_with_it_and_later_calls_mend(make: Any) -> None:
    mended = make.folder.parent / "mended"
    code = f"import os, sys; {COUNT}; sys.exit(not os.path.exists({str(mended)!r}))"
    bad = make.job("bad", code)
    after = make.job("after", f"import os; {COUNT}", dependencies=[bad])
    last = make.job("last", f"import os; {COUNT}", dependencies=[after])
    apart = make.job("apart", f"import os; {COUNT}")
    grid = make.grid()
    old = numbers(slurm.submit(grid, PLAIN))
    ended = {"bad": "FAILED", "after": "CANCELLED", "last": "CANCELLED", "apart": "COMPLETED"}
    wait(lambda: states(grid) == ended)
    assert [runs(job) for job in (bad, after, last, apart)] == [1, 0, 0, 1]

    mended.touch()
    new = slurm.submit(grid, PLAIN)
    assert {one.job.name for one in new if one.is_new} == {"bad", "after", "last"}
    assert not set(numbers(new).values()) & set(old.values())
    wait_for_end(grid)
    assert [runs(job) for job in (bad, after, last, apart)] == [2, 1, 1, 1]
    assert all(store.is_finished(job.folder) for job in grid.jobs.values())


def test_a_killed_job_is_submitted_again_with_those_that_wait_for_it(make: Any) -> None:
    """Called at once: SLURM has not yet removed the SLURM job that waits in vain."""
    code = "import os, time; p = os.environ['OUTPUT_ROOT'] + '/../runs'; again = os.path.exists(p)"
    killed = make.job("killed", f"{code}; {COUNT}; again or time.sleep(60)")
    after = make.job("after", f"import os; {COUNT}", dependencies=[killed])
    grid = make.grid(retries=2)
    old = numbers(slurm.submit(grid, PLAIN))
    wait(lambda: runs(killed))
    subprocess.run(["scancel", old["killed"]], check=True)
    new = slurm.submit(grid, PLAIN)
    assert [one.is_new for one in new] == [True, True]
    wait_for_end(grid)
    assert all(store.is_finished(job.folder) for job in grid.jobs.values())
    # The end of a SLURM job is no failure of its job: nothing was tried again in the killed one.
    assert [runs(killed), runs(after)] == [2, 1]
    assert old["after"] not in {queued.id for queued in slurm.jobs_of(grid).values()}


def test_cancel_ends_all_jobs_of_the_grid_and_no_others(make: Any, tmp_path: Path) -> None:
    running = make.job("running", f"{SLEEP}  # {tmp_path.name}")
    waiting = make.job("waiting", dependencies=[running])
    left_out = make.job("left out of the plan later", SLEEP)
    grid = make.grid()
    other = type(make)(tmp_path / "other")
    same = other.job("running", f"{SLEEP}  # {tmp_path.name}")
    elsewhere = other.grid()
    assert same.digest == running.digest
    submitted = slurm.submit(grid, PLAIN)
    slurm.submit(elsewhere, PLAIN)
    for one, job in ((grid, running), (elsewhere, same)):
        wait_for_state(one, job, "RUNNING")
    wait(lambda: slurm.jobs_of(grid)[waiting.digest].reason == "Dependency")
    assert slurm.jobs_of(grid)[waiting.digest].state == "PENDING"
    wait(lambda: processes(running) == processes(same) == 1)

    (grid.folder / "slurm.json").unlink()
    shrunk = Grid.of(grid.folder, [running, waiting])
    assert {queued.id for queued in slurm.cancel(shrunk)} == {one.id for one in submitted}
    assert left_out.digest not in slurm.jobs_of(shrunk)
    wait(lambda: len(names_in_queue()) == 1)
    wait(lambda: processes(running) == 0, seconds=10)
    assert not slurm.jobs_of(grid)[running.digest].is_live
    assert store.read_record(running.folder) is None
    assert slurm.jobs_of(elsewhere)[same.digest].state == "RUNNING"
    assert len(slurm.cancel(elsewhere)) == 1
    wait(lambda: not names_in_queue())
    assert slurm.cancel(elsewhere) == []


def test_parallel_jobs_have_gpus_of_their_own(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each job waits for the other to have started."""
    code = (
        "import os, time, pathlib, json; here = pathlib.Path({folder!r});"
        "names = ('CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS', 'SLURM_NTASKS');"
        "(here / '{name}').write_text(json.dumps([os.environ.get(n) for n in names]));"
        "end = time.time() + 60\n"
        "while len(list(here.glob('gpu_*'))) < 2: assert time.time() < end; time.sleep(.1)"
    )
    jobs = [
        make.job(name, code.format(folder=str(tmp_path), name=name)) for name in ("gpu_a", "gpu_b")
    ]
    none = make.job("none", code.format(folder=str(tmp_path), name="gpu_none"), kind="report")
    grid = make.grid()
    content = {"gpus": 1, "cpus": 2, "memory": "50M", "kinds": {"report": {"gpus": 0}}}
    monkeypatch.setenv("SLURM_NTASKS", "4")  # as within a SLURM job from which a grid is submitted
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slurm.submit(grid, slurm.read_settings(content))
    wait_for_end(grid)
    assert all(store.is_finished(job.folder) for job in [*jobs, none])
    texts = [(tmp_path / job.name).read_text() for job in jobs]
    assert sorted(texts) == ['["0", "2", null]', '["1", "2", null]']
    assert '"0"' not in (tmp_path / "gpu_none").read_text()


def test_no_more_jobs_run_than_told_even_when_they_come_in_several_calls(
    make: Any, tmp_path: Path
) -> None:
    """The first two wait for each other: so many do run at once."""
    meet = (
        "import os, time, pathlib; here = pathlib.Path({folder!r}); (here / 'met_{n}').touch()\n"
        "while len(list(here.glob('met_*'))) < 2: time.sleep(.1)"
    )
    jobs = [make.job(f"job {n}", meet.format(folder=str(tmp_path), n=n)) for n in range(2)]
    jobs += [make.job(f"job {n}", f"import time; time.sleep(.5) # {n}") for n in range(2, 7)]
    jobs.append(make.job("needs one", dependencies=[jobs[1]]))
    grid = make.grid()
    settings = slurm.read_settings({"memory": "50M", "max_running": 2})
    slurm.submit(grid, settings, only=[job.digest for job in jobs[:3]])
    (grid.folder / "slurm.json").unlink()
    rest = slurm.submit(grid, settings)
    assert [one.is_new for one in rest].count(True) == 5
    counts = []

    def have_ended() -> bool:
        found = slurm.jobs_of(grid).values()
        counts.append(sum(queued.state == "RUNNING" for queued in found))
        return not any(queued.is_live for queued in found)

    wait(have_ended)
    assert all(store.is_finished(job.folder) for job in jobs)
    assert max(counts) == 2


def test_settings_reach_slurm(make: Any) -> None:
    make.job("trains")
    make.job("pairs", kind="pairing")
    grid = make.grid()
    content = {
        "partition": "main", "time": "1-02:30:00", "memory": "64M", "cpus": 3, "gpus": 2,
        "parameters": {"hold": True, "nice": 7, "mail-user": "a b"},
        "kinds": {"pairing": {"time": "90", "gpus": 0, "parameters": {"nice": 8}}},
    }  # fmt: skip
    slurm_jobs = numbers(slurm.submit(grid, slurm.read_settings(content)))
    first, second = facts(slurm_jobs["trains"]), facts(slurm_jobs["pairs"])
    expected = {
        "Partition": "main", "TimeLimit": "1-02:30:00", "MinMemoryNode": "64M", "NumCPUs": "3",
        "TresPerNode": "gres:gpu:2", "Nice": "7", "Reason": "JobHeldUser", "NumNodes": "1-1",
    }  # fmt: skip
    assert {name: first.get(name) for name in expected} == expected
    changed = {"TimeLimit": "01:30:00", "TresPerNode": None, "Nice": "8", "NumCPUs": "3"}
    assert {name: second.get(name) for name in changed} == changed
    assert len(slurm.cancel(grid)) == 2


def test_a_driver_killed_at_any_moment_repeats_and_loses_nothing(make: Any) -> None:
    jobs: list[Job] = []
    for number in range(10):
        jobs.append(make.job(f"job {number}", f"import os; {COUNT}", dependencies=jobs[-3:-2]))
    grid = make.grid()
    moments = random.Random(1)
    for _ in range(5):
        command = [sys.executable, "-c", DRIVER, str(grid.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as driver:
            assert driver.stdout is not None
            driver.stdout.readline()
            time.sleep(moments.uniform(0, 0.3))
            driver.kill()
    slurm.submit(grid, PLAIN)
    wait_for_end(grid)
    assert [runs(job) for job in jobs] == [1] * len(jobs)
    assert all(store.is_finished(job.folder) for job in jobs)


def test_refused_job_is_a_one_line_error(make: Any) -> None:
    make.job("job")
    grid = make.grid()
    with pytest.raises(InputError, match=r"job of job: .*nvalid partition.*; 0 of 1 jobs") as error:
        slurm.submit(grid, slurm.read_settings({"partition": "elsewhere"}))
    assert "\n" not in str(error.value)
    assert names_in_queue() == []
