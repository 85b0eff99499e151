"""What SLURM knows about a grid's jobs: squeue, sacct if there is one, and the registry of ids."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path

from ..plan.job import Grid, Job

REGISTRY = "slurm.json"
"""File of a grid's folder: the id of each job's SLURM job, by the job's digest."""

_FORMAT = ("%i", "%T", "%j", "%E", "%N", "%r")
"""Columns of squeue: id, state, name, dependencies that are left, nodes, reason."""

GONE = "GONE"
"""State of a SLURM job that SLURM has forgotten and that left no record: it was killed."""

_ENDED = frozenset(
    {
        GONE,
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "COMPLETING", "DEADLINE", "FAILED", "LAUNCH_FAILED",
        "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States in which a SLURM job's job does not run any more, or is being killed."""

_HOPELESS = "DependencyNeverSatisfied"
"""Reason of a SLURM job that waits for a failed one, until SLURM removes it."""

_TIMEOUT = 120.0
"""Seconds that a busy controller gets to answer."""


@dataclasses.dataclass(frozen=True)
class SlurmJob:
    """A SLURM job as SLURM tells it.

    Attributes:
        id: Its number.
        state: SLURM's word, such as PENDING or RUNNING.
        name: Its name, which tells job and grid.
        reason: Why it waits, SLURM's word.
        nodes: Where it runs.
        dependencies: Ids of SLURM jobs that it waits for to succeed.
        follows: Ids of SLURM jobs that it waits for to end.
    """

    id: str
    state: str
    name: str = ""
    reason: str = ""
    nodes: str = ""
    dependencies: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether the SLURM job runs or may run yet."""
        return self.state not in _ENDED and self.reason != _HOPELESS


def require(*programs: str) -> None:
    """Refuses to go on where SLURM is absent.

    Args:
        programs: Commands of SLURM.

    Raises:
        InputError: One of them is not installed.
    """
    for program in programs:
        if shutil.which(program) is None:
            raise InputError(
                f"--engine slurm: {program} is not found, so this machine submits nothing to "
                "SLURM; log in to one that does, or use --engine local"
            )


def job_name(job: Job, folder: Path) -> str:
    """Returns the name of a job's SLURM job: the same for the same job of the same grid.

    Args:
        job: The job.
        folder: The grid's folder: another grid may have the same job.
    """
    return f"clipit-{job.digest[:12]}-{_mark(folder)}"


def jobs_in(folder: Path) -> list[SlurmJob]:
    """Returns the caller's SLURM jobs of a grid that SLURM has not forgotten, in their order.

    Args:
        folder: The grid's folder. SLURM jobs of jobs that are no longer in the plan count too.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    require("squeue")
    known = read_registry(folder)
    pattern = re.compile(rf"clipit-[0-9a-f]{{12}}-{_mark(folder)}")
    columns = "|".join(_FORMAT)
    lines = _answer(
        ["squeue", "--noheader", "--all", "--states=all", f"--user={os.getuid()}", "-o", columns]
    ).splitlines()
    slurm_jobs = [_job(line) for line in lines if "|clipit-" in line]
    # By its number too: the folder may have been reached by another path.
    names = {number: f"clipit-{digest[:12]}-" for digest, number in known.items()}
    own = [
        slurm_job
        for slurm_job in slurm_jobs
        if pattern.fullmatch(slurm_job.name)
        or slurm_job.name.startswith(names.get(slurm_job.id, "\0"))
    ]
    return sorted(own, key=lambda slurm_job: int(slurm_job.id))


def by_job(grid: Grid, slurm_jobs: Iterable[SlurmJob]) -> dict[str, SlurmJob]:
    """Returns the SLURM job of each job that has one, by digest: the last one, live ones first.

    Args:
        grid: The jobs.
        slurm_jobs: SLURM jobs in their order.
    """
    last: dict[str, SlurmJob] = {}
    for slurm_job in sorted(slurm_jobs, key=lambda slurm_job: slurm_job.is_live):
        last[slurm_job.name.split("-")[1]] = slurm_job
    return {digest: last[digest[:12]] for digest in grid.jobs if digest[:12] in last}


def states_of_old(numbers: Sequence[str]) -> dict[str, str]:
    """Returns the states of jobs that squeue has forgotten, by id, as far as sacct knows them.

    Accounts may say of a lost SLURM job that it still runs; that is left out.

    Args:
        numbers: Ids of SLURM jobs.
    """
    if not numbers or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobIDRaw,State"]
    try:
        text = _answer([*command, f"--jobs={','.join(numbers)}"])
    except InputError:  # many clusters keep no accounts
        return {}
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 1]
    # "CANCELLED by 1000"
    states = {number: state.partition(" ")[0] for number, state in rows}
    return {number: state for number, state in states.items() if state in _ENDED}


def cancel(slurm_jobs: Sequence[SlurmJob]) -> None:
    """Cancels SLURM jobs.

    Args:
        slurm_jobs: SLURM jobs; those that have ended meanwhile are no error.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    if slurm_jobs:
        require("scancel")
        _answer(["scancel", "--quiet", *(slurm_job.id for slurm_job in slurm_jobs)])


def read_registry(folder: Path) -> dict[str, str]:
    """Returns the SLURM job ids of a grid's jobs by digest; none where the file is lost or damaged.

    Args:
        folder: The grid's folder.
    """
    try:
        content = json.loads((folder / REGISTRY).read_text())
    except (OSError, ValueError):  # SLURM jobs are found by their names then
        return {}
    return content if isinstance(content, dict) else {}


def write_registry(folder: Path, numbers: Mapping[str, str]) -> None:
    """Writes the SLURM job ids of a grid's jobs.

    Args:
        folder: The grid's folder.
        numbers: Job ids by digest.
    """
    with atomic_path(folder / REGISTRY) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))


def _job(line: str) -> SlurmJob:
    number, state, name, dependencies, nodes, reason = line.split("|", len(_FORMAT) - 1)
    return SlurmJob(
        number,
        state,
        name,
        reason,
        nodes,
        dependencies=_waits(dependencies, "afterok"),
        follows=_waits(dependencies, "afterany"),
    )


def _waits(dependencies: str, kind: str) -> tuple[str, ...]:
    """Returns the ids in `afterok:12(unfulfilled),afterany:13(unfulfilled):14(unfulfilled)`."""
    parts = [part.partition(":") for part in dependencies.split(",")]
    return tuple(n for word, _, rest in parts if word == kind for n in re.findall(r"\d+", rest))


def _mark(folder: Path) -> str:
    """Returns letters that tell a grid's folder from others."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]


def _answer(command: Sequence[str]) -> str:
    """Returns what a command of SLURM prints."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_TIMEOUT
        ).stdout
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"exit status {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    raise InputError(f"--engine slurm: {command[0]} does not work: {reason}")
