"""Grids of trivial jobs: each runs a line of Python instead of `eva`."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.plan.job import Grid, Job


@dataclasses.dataclass
class GridMaker:
    """Makes jobs that run Python code in `python -c`, and the grid of all jobs made so far."""

    folder: Path
    jobs: dict[str, Job] = dataclasses.field(default_factory=dict)

    def job(
        self,
        name: str,
        code: str = "pass",
        *,
        dependencies: Iterable[Job] = (),
        environment: Mapping[str, str] | None = None,
        products: Iterable[str] = (),
        kind: str = "trivial",
    ) -> Job:
        """Adds a job; its code finds its `work` folder in OUTPUT_ROOT."""
        digest = hashlib.sha256(f"{kind}\0{name}\0{code}".encode()).hexdigest()
        job = Job(
            digest=digest,
            kind=kind,
            name=name,
            folder=self.folder / "jobs" / f"{kind}-{digest[:12]}",
            command=(sys.executable, "-c", code),
            dependencies=tuple(one.digest for one in dependencies),
            products=tuple(products),
        )
        own = {"OUTPUT_ROOT": str(job.work), **(environment or {})}
        job = dataclasses.replace(job, environment=own)
        self.jobs[digest] = job
        return job

    def grid(self, retries: int = 0) -> Grid:
        """Returns the grid of all jobs, which are written to its folder, too."""
        grid = Grid.of(self.folder, self.jobs.values())
        store.write_grid(grid, retries)
        return grid


@pytest.fixture
def make(tmp_path: Path) -> GridMaker:
    """Makes trivial jobs below `tmp_path / "grid"`."""
    return GridMaker(tmp_path / "grid")


_DRIVER = """
import signal, sys
from pathlib import Path
from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.plan.job import Grid
from clipit_eva.analysis.grid.engines.local import run_local

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' caller ignores
folder, parallel = Path(sys.argv[1]), int(sys.argv[2])
jobs = [store.read_job(path.parent) for path in sorted(folder.glob("jobs/*/job.json"))]
grid = Grid.of(folder, [job for job, _ in jobs])
store.write_grid(grid, jobs[0][1])
try:
    outcome = run_local(grid, parallel)
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(1 if outcome.failed else 0)
"""


@pytest.fixture
def drive() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that runs a grid's folder by the local engine.

    It leads a process group, as a command in a terminal does. Those that still run when the test
    ends are killed.
    """
    drivers = []

    def start(folder: Path, parallel: int = 2, **options) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _DRIVER, str(folder), str(parallel)]
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
        drivers.append(subprocess.Popen(command, text=True, start_new_session=True, **options))
        return drivers[-1]

    yield start
    for driver in drivers:
        if driver.poll() is None:
            os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()


def _processes_of(folder: Path) -> dict[int, str]:
    """Returns the command lines, by process id, of processes told of a folder (Linux)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command, told = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command + told and int(path.name) != os.getpid():
            found[int(path.name)] = command.replace(b"\0", b" ").decode()
    return found


@pytest.fixture
def processes_of() -> Callable[[Path], dict[int, str]]:
    """Finds processes, zombies left out, by a folder in their command or environment."""
    if not Path("/proc/self/environ").is_file():
        pytest.skip("processes are looked up in /proc, which this system lacks")
    return _processes_of


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition; fails when it takes too long."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not so after {seconds} s")
            time.sleep(0.02)

    return wait
