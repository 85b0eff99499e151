"""`kill -9` of the driver at any moment, then the same call."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from clipit_eva.analysis.grid import store

pytestmark = pytest.mark.slow

# Notes its start and its completion outside of its folder, where nothing is ever removed; holds a
# lock of its own meanwhile, which a second one would miss; leaves a file half written for a while.
CODE = """
import fcntl, hashlib, os, pathlib, sys, time
name, dependencies, journal = {name!r}, {dependencies!r}, pathlib.Path(os.environ["JOURNAL"])
work = pathlib.Path(os.environ["OUTPUT_ROOT"])
def note(word):
    with open(journal / name, "a") as file:
        file.write(word + "\\n")
lock = open(journal / (name + ".lock"), "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("overlap")
note("start")
inputs = [(work.parent.parent / need / "work" / "result").read_text() for need in dependencies]
text = hashlib.sha256("".join([name, *inputs]).encode()).hexdigest()
with open(work / "result", "w") as file:
    file.write(text[:20])
    file.flush()
    time.sleep(0.2)
    file.write(text[20:])
note("complete")
os._exit(0)  # at once: what is killed before it has ended is not complete
"""


def make_jobs(make, folder: Path):
    """Makes ten jobs, each but the first two after two others, below a folder."""
    make.folder, make.jobs = folder, {}
    journal = folder.with_name(f"{folder.name}_journal")
    journal.mkdir()
    jobs = []
    for number in range(10):
        dependencies = jobs[number - 2 : number] if number >= 2 else []
        code = CODE.format(
            name=str(number), dependencies=[need.folder.name for need in dependencies]
        )
        environment = {"JOURNAL": str(journal)}
        jobs.append(
            make.job(
                str(number),
                code,
                dependencies=dependencies,
                environment=environment,
                products=["result"],
            )
        )
    return make.grid(), journal


def results(grid) -> dict[str, tuple]:
    """Returns all that jobs left in `work`, and what their records say about it, by name."""
    return {
        job.name: (
            {path.name: path.read_bytes() for path in job.work.rglob("*")},
            store.read_record(job.folder).facts["outputs"],
        )
        for job in grid.jobs.values()
    }


def finished(grid) -> dict[Path, tuple[int, int]]:
    """Returns the records of finished jobs; a rewritten one would be another file."""
    stats = {
        job.folder: (job.folder / "record.json").stat()
        for job in grid.jobs.values()
        if store.is_finished(job.folder)
    }
    return {folder: (stat.st_ino, stat.st_mtime_ns) for folder, stat in stats.items()}


def test_twenty_kills_change_nothing(make, drive, processes_of, until, tmp_path):
    reference, _ = make_jobs(make, tmp_path / "reference")
    assert drive(reference.folder).wait(120) == 0
    draw = random.Random(1).uniform
    kills, longest, grids = 0, 0.0, 0
    while kills < 20:
        grids += 1
        grid, journal = make_jobs(make, tmp_path / f"grid_{grids}")
        kept: dict[Path, tuple[int, int]] = {}
        driver = drive(grid.folder)
        while driver.poll() is None:
            if kills == 20:
                assert driver.wait(120) == 0
                break
            time.sleep(draw(0, 3))
            if driver.poll() is not None:
                break
            driver.kill()
            killed = time.monotonic()
            driver.wait()
            kills += 1
            orphans = processes_of(grid.folder).keys()
            kept |= finished(grid)
            driver = drive(grid.folder)  # while the killed one's processes are still ending
            until(lambda f=grid.folder, gone=orphans: not gone & processes_of(f).keys(), 10)
            longest = max(longest, time.monotonic() - killed)
        assert driver.returncode == 0
        assert results(grid) == results(reference)
        assert kept.items() <= finished(grid).items()
        for job in grid.jobs.values():
            words = (journal / job.name).read_text().split()
            assert words.count("complete") == 1
            assert words[-1] == "complete"
            assert "overlap" not in words
        assert processes_of(grid.folder) == {}
    print(f"{kills} kills over {grids} grids; the last orphan was gone after {longest:.2f} s")


def test_what_a_job_has_finished_is_recorded_though_the_driver_is_killed(
    make, drive, processes_of, until, tmp_path
):
    go = tmp_path / "go"
    code = (
        "import os, time; open(os.environ['OUTPUT_ROOT'] + '/here', 'w')\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.02)"
    )
    job = make.job("job", code)
    grid = make.grid()
    driver = drive(grid.folder)
    until((job.work / "here").is_file)
    (worker,) = (
        pid
        for pid, command in processes_of(grid.folder).items()
        if "grid.engines.worker" in command and "clipit_eva.child" not in command
    )
    os.kill(worker, signal.SIGSTOP)  # it stands between the end of its job and the record
    go.touch()
    until(lambda: not processes_of(job.work))
    driver.kill()
    pending = re.compile(r"^ShdPnd:\s*([0-9a-f]+)$", re.MULTILINE)
    status = Path(f"/proc/{worker}/status")
    until(lambda: int(pending.search(status.read_text())[1], 16) & 1 << signal.SIGTERM - 1)
    assert not store.is_finished(job.folder)
    os.kill(worker, signal.SIGCONT)
    until(lambda: not processes_of(grid.folder), 10)
    assert store.is_finished(job.folder)


def test_a_stubborn_job_is_gone_soon(make, drive, processes_of, until):
    code = (
        "import os, signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; "
        "os.fork(); open(os.environ['OUTPUT_ROOT'] + '/here', 'w'); time.sleep(120)"
    )
    job = make.job("job", code)
    grid = make.grid()
    driver = drive(grid.folder)
    until((job.work / "here").is_file)
    driver.kill()
    until(lambda: not processes_of(grid.folder), 10)
    assert not store.is_locked(job.folder)
