"""What a grid's folder says about its jobs: what they are, and how they ended."""

import contextlib
import dataclasses
import enum
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path, one_line_errors

from .plan.job import Grid, Job

GRID = "grid.json"  # says which folders hold the runs of the plan as it is now

_JOB, _RECORD, _LOCK = "job.json", "record.json", "lock"

_PATIENCE = 20.0
"""Seconds to wait for a job's lock: processes of a killed driver need a moment to end."""


class LockedError(InputError):
    """Another process runs the job."""


class State(enum.Enum):
    """How far a job is."""

    FINISHED = "finished"
    FAILED = "failed"
    RUNNING = "running"
    WAITING = "waiting"


@dataclasses.dataclass(frozen=True)
class Record:
    """How a job ended.

    Attributes:
        status: Exit status of its last attempt; 0 if it is finished.
        attempts: Number of attempts.
        started: When the last attempt began, seconds since 1970; ended: when it ended.
        log: Name of its log in the job's folder.
        message: The line of the log that tells why it failed; empty if it did not.
        facts: Provenance: command, environment, versions, git revision, hardware, peak memory in
            bytes, digests of inputs and outputs.
    """

    status: int
    attempts: int
    started: float
    ended: float
    log: str
    message: str = ""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether the job has ended well."""
        return self.status == 0

    @property
    def seconds(self) -> float:
        """How long the last attempt took."""
        return self.ended - self.started


def claim(output: Path) -> None:
    """Refuses, by an InputError, a folder that holds something else than a grid."""
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {output} is no folder; give another")
    if not output.is_dir() or (output / GRID).is_file():
        return
    # A call that was killed at once may have left a hidden temporary file.
    if any(not path.name.startswith(".") for path in output.iterdir()):
        raise InputError(f"--output {output} is not empty and holds no grid; give a new folder")


def write_grid(grid: Grid, retries: int) -> None:
    """Writes what each job is, and which folders hold the runs of the plan as it is now.

    A failed job is tried again `retries` times. A plan's margin is recorded unless runs have been
    finished without it: a report may call a recorded one fixed beforehand.
    """
    content = _runs(grid)
    if grid.margin is not None:
        known = _written(grid).get("margin")
        if known == grid.margin or not any(is_finished(job.folder) for job in grid.trained()):
            content["margin"] = grid.margin
    _write(grid.folder / GRID, content)  # first: it tells that the folder is a grid's
    write_jobs(grid, retries)


def is_written(grid: Grid) -> bool:
    """Whether a grid's folder is of the same plan."""
    written = _written(grid)
    return {key: written.get(key) for key in ("runs", "plain")} == _runs(grid)


def write_jobs(grid: Grid, retries: int) -> None:
    """Writes what each job is, and leaves it open whether it is of the plan: as trials are not."""
    for job in grid.jobs.values():
        fields = {field.name: getattr(job, field.name) for field in dataclasses.fields(job)}
        own = {"folder": None, "environment": dict(job.environment), "retries": retries}
        _write(job.folder / _JOB, {**fields, **own}, durable=False)


def read_job(folder: Path) -> tuple[Job, int]:
    """Returns the job of a folder, and how often it is tried again.

    Raises:
        InputError: The folder is no job's.
    """
    try:
        content = json.loads((folder / _JOB).read_text())
        retries = content.pop("retries")
        for name in ("command", "dependencies", "products", "aliases"):
            content[name] = tuple(content[name])
        return Job(**{**content, "folder": folder}), retries
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} is no job of a grid: {error!r}; run the plan") from error


def read_record(folder: Path) -> Record | None:
    """Returns how the job of a folder ended, None if it never did."""
    try:
        return Record(**json.loads((folder / _RECORD).read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as error:
        path = folder / _RECORD
        raise InputError(f"{path} is damaged; delete it to run the job again") from error


def write_record(folder: Path, record: Record) -> None:
    """Writes how a job ended."""
    _write(folder / _RECORD, dataclasses.asdict(record))


def forget(folder: Path) -> None:
    """Removes the record of a failed job, so that it counts as not run."""
    record = read_record(folder)
    if record is not None and not record.is_finished:
        (folder / _RECORD).unlink()


def is_finished(folder: Path) -> bool:
    """Whether the job of a folder has ended well."""
    record = read_record(folder)
    return record is not None and record.is_finished


def state_of(folder: Path) -> State:
    """Returns how far the job of a folder is."""
    record = read_record(folder)
    if record is not None and record.is_finished:
        return State.FINISHED
    if is_locked(folder):
        return State.RUNNING
    return State.WAITING if record is None else State.FAILED


def is_locked(folder: Path) -> bool:
    """Whether some process works in a job's folder."""
    try:
        with (folder / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


@contextlib.contextmanager
def locked(
    folder: Path, patience: float = _PATIENCE, name: str = _LOCK, action: str = "works in"
) -> Iterator[IO[bytes]]:
    """Keeps other processes, on any machine that shares the disk, from running a job.

    The lock ends with the last process that has the file open: give it to a child that must not
    run beside a second one.

    Args:
        folder: The job's folder.
        patience: Seconds to wait for another process to end.
        name: The file that is locked.
        action: What a message says that the other process does with the folder.

    Raises:
        LockedError: Another process holds the lock for longer.
        InputError: There is no such folder.
    """
    deadline = time.monotonic() + patience
    try:
        lock = (folder / name).open("ab")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} is no job of a grid; run the plan") from error
    with lock as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"another process {action} {folder}; wait for it or end it"
                    raise LockedError(message) from None
                time.sleep(0.1)
        yield file


def _runs(grid: Grid) -> dict[str, Any]:
    folders = {
        job.folder.relative_to(grid.folder).as_posix(): job.is_plain for job in grid.trained()
    }
    return {"runs": list(folders), "plain": [name for name, plain in folders.items() if plain]}


def _written(grid: Grid) -> dict[str, Any]:
    """Returns what a grid's folder holds of it; nothing if that is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((grid.folder / GRID).read_text())
        return content if isinstance(content, dict) else {}
    return {}


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True)


def _write(path: Path, content: Mapping[str, Any], durable: bool = True) -> None:
    """Writes a JSON file whole, unless it says the same already.

    It survives a power cut if `durable`. A thousand jobs would take ten seconds for that, and each
    call writes again what they are.
    """
    text = _text(content)
    if path.is_file() and path.read_text() == text:
        return
    if durable:
        with atomic_path(path) as temporary:
            temporary.write_text(text)
        return
    with one_line_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(path)
