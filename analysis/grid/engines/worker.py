"""Runs one job to its end; every engine does it by this.

Run: python -m clipit_eva.analysis.grid.engines.worker JOB_FOLDER
"""

import argparse
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from clipit_eva import child, provenance
from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path, one_line_errors, sha256_file
from clipit_eva.result_versions import RESULT_VERSIONS
from clipit_eva.tasks import configs

from .. import store
from ..plan import identity, variables
from ..plan.job import Job
from ..store import Record

_KEPT = 400  # letters of a log's telling line
_TERMINATED = 128 + signal.SIGTERM  # status of a worker that SIGTERM ended
BUSY = 75  # status of a worker whose job another process runs (EX_TEMPFAIL of sysexits.h)


def command(folder: Path) -> list[str]:
    """Returns the command that runs the job of a folder."""
    return [sys.executable, "-m", "clipit_eva.analysis.grid.engines.worker", str(folder)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job of a folder; returns its exit status, 2 for a user's mistake, or BUSY."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    try:
        return run_job(parser.parse_args(arguments).folder.absolute())
    except InputError as error:
        print(f"clipit-eva: error: {error}", file=sys.stderr)
        return BUSY if isinstance(error, store.LockedError) else 2


def run_job(folder: Path) -> int:
    """Runs a job, several times if it fails and its plan says so; does nothing if it is finished.

    Whatever an interrupted attempt left is removed first. The job's processes end with this one.
    SIGTERM ends them, too, but what they had finished by then is still recorded. Returns the exit
    status of the last attempt.

    Raises:
        LockedError: Another process runs the job.
        InputError: The folder is no job's, or a job that it needs is not finished.
    """
    with store.locked(folder) as lock:
        if store.is_finished(folder):
            return 0
        job, retries = store.read_job(folder)
        others = {path.name.rpartition("-")[2]: path for path in folder.parent.iterdir()}
        for digest in job.dependencies:
            if digest[:12] not in others or not store.is_finished(others[digest[:12]]):
                raise InputError(f"{job.name} needs job {digest[:12]}, which is not finished")
        with _Termination() as termination:
            for attempt in range(1, retries + 2):
                record = _attempt(job, attempt, lock, termination)
                store.write_record(folder, record)
                if record.status == 0 or termination.came:
                    break
        return record.status


class _Termination:
    """Makes SIGTERM end a job's process, and this one unless it has a success to record."""

    def __init__(self) -> None:
        self.came = False
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Termination":
        if threading.current_thread() is threading.main_thread():  # others must not set handlers
            self._previous = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._previous or signal.SIG_DFL)

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Waits for a process; returns its status.

        Raises:
            SystemExit: SIGTERM came before the process succeeded, here or (SLURM signals all
                processes of a job, in any order) in the process itself.
        """
        self._process = process
        if self.came:
            self._end()
        status = process.wait()
        if status == -signal.SIGTERM or (self.came and status):
            raise SystemExit(_TERMINATED)
        return status

    def _note(self, *_: object) -> None:
        self.came = True
        if self._process is None:
            raise SystemExit(_TERMINATED)  # nothing to lose
        self._end()

    def _end(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def _attempt(job: Job, attempt: int, lock: IO[bytes], termination: _Termination) -> Record:
    """Runs a job's process once, in an empty folder."""
    shutil.rmtree(job.work, ignore_errors=True)
    with one_line_errors(job.work):
        job.work.mkdir(parents=True)
    _write_config(job)
    facts = _facts(job)  # before the work: once that is done, its record is not to be waited for
    log = job.folder / f"log_{attempt}.txt"
    started = time.time()
    with one_line_errors(log), log.open("wb") as file:
        process = child.start(
            job.command,
            {**configs.clean_environment(), **job.environment},
            file,
            pass_fds=[lock.fileno()],
        )
        status = termination.wait(process)
    missing = [pattern for pattern in job.products if not any(_files(job, pattern))]
    message = "" if status == 0 else telling_line(log)
    if status == 0 and missing:
        status, message = 1, f"the process ended well but left no {missing[0]}"
    facts["peak_memory"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    facts["outputs"] = {} if status else _digests(job)
    return Record(status, attempt, started, time.time(), log.name, message, facts)


def _write_config(job: Job) -> None:
    """Writes the config as run: `eva` takes it without any variable set."""
    if "--config" in job.command:
        text = configs.with_values(Path(job.command[-1]), job.environment)
        with atomic_path(job.folder / "config.yaml") as temporary:
            temporary.write_text(text)


def telling_line(log: Path) -> str:
    """Returns the line of a log that tells why a process failed: our error, or the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    ours = [line for line in lines if "clipit-eva: error:" in line]
    return (ours or lines or ["the log is empty"])[-1][:_KEPT]


def _facts(job: Job) -> dict[str, Any]:
    """Returns the provenance of an attempt that is about to start."""
    files = {name: job.environment[name] for name in variables.FILES & job.environment.keys()}
    return {
        "command": list(job.command),
        "environment": dict(job.environment),
        "seed": job.seed,
        "result_versions": RESULT_VERSIONS,
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "hardware": provenance.hardware(),
        "inputs": {name: identity.fingerprint(Path(path)) for name, path in files.items()},
    }


def _digests(job: Job) -> dict[str, str]:
    """Returns the SHA-256 of each file that a finished job has to have, by its place in `work`."""
    paths = {path for pattern in job.products for path in _files(job, pattern) if path.is_file()}
    return {
        path.relative_to(job.work).as_posix(): sha256_file(path)
        for path in sorted(paths)
        if path.is_relative_to(job.work)
    }


def _files(job: Job, pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_absolute():
        return [path] if path.exists() else []
    return list(job.work.glob(pattern))


if __name__ == "__main__":
    raise SystemExit(main())
