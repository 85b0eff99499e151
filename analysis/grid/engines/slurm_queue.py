"""What SLURM knows about a grid's jobs: squeue, sacct if there is one, and the registry of ids.

That SLURM is absent, does not answer or refuses what it is asked for is an InputError.
"""

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

REGISTRY = "slurm.json"  # the id that each job has on SLURM, by the job's digest
GONE = "GONE"  # state of a job that SLURM has forgotten and that left no record: it was killed
_FORMAT = "%i|%T|%j|%E|%r"  # id, state, name, dependencies that are left, reason
_HOPELESS = "DependencyNeverSatisfied"  # waits for a failed one, until SLURM removes it
_TIMEOUT = 120.0  # seconds that a busy controller gets to answer

_ENDED = frozenset(
    {
        GONE,
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "COMPLETING", "DEADLINE", "FAILED", "LAUNCH_FAILED",
        "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States in which a job does not run any more, or is being killed."""


@dataclasses.dataclass(frozen=True)
class SlurmJob:
    """A job as SLURM tells it: state (such as PENDING) and reason why it waits are SLURM's words.

    Attributes:
        name: Its name, which tells job and grid.
        dependencies: Ids of jobs that it waits for to succeed.
        follows: Ids of jobs that it waits for to end.
    """

    id: str
    state: str
    name: str = ""
    dependencies: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    reason: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it runs or may run yet."""
        return self.state not in _ENDED and self.reason != _HOPELESS

    @property
    def digest(self) -> str:
        """The start of the digest of the grid's job that it runs."""
        return self.name.split("-")[1]


def job_name(job: Job, folder: Path) -> str:
    """Returns what a job is called on SLURM: the same whenever the grid of a folder has it."""
    return f"clipit-{job.digest[:12]}-{_mark(folder)}"


def jobs_in(folder: Path) -> list[SlurmJob]:
    """Returns the caller's jobs of a folder, in the plan or not, that SLURM knows, in order."""
    user = f"--user={os.getuid()}"
    lines = answer(["squeue", "--noheader", "--all", "--states=all", user, "-o", _FORMAT])
    found = [_job(line) for line in lines.splitlines() if "|clipit-" in line]
    # By its number too: the folder may have been reached by another path.
    names = {number: f"clipit-{digest[:12]}-" for digest, number in read_registry(folder).items()}
    end = f"-{_mark(folder)}"
    own = [j for j in found if j.name.endswith(end) or j.name.startswith(names.get(j.id, "\0"))]
    return sorted(own, key=lambda job: int(job.id))


def by_job(grid: Grid, slurm_jobs: Iterable[SlurmJob]) -> dict[str, SlurmJob]:
    """Returns the SLURM job of each job that has one, by digest: the last one, live ones first."""
    last = {one.digest: one for one in sorted(slurm_jobs, key=lambda one: one.is_live)}
    return {digest: last[digest[:12]] for digest in grid.jobs if digest[:12] in last}


def states_of_old(numbers: Sequence[str]) -> dict[str, str]:
    """Returns the states of jobs that squeue has forgotten, by id, as far as sacct knows them.

    Accounts may say of a lost job that it still runs; that is left out.
    """
    if not numbers or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobIDRaw,State"]
    try:
        text = answer([*command, f"--jobs={','.join(numbers)}"])
    except InputError:  # many clusters keep no accounts
        return {}
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 1]
    # "CANCELLED by 1000"
    states = {number: state.partition(" ")[0] for number, state in rows}
    return {number: state for number, state in states.items() if state in _ENDED}


def cancel(slurm_jobs: Sequence[SlurmJob]) -> None:
    """Cancels jobs; those that have ended meanwhile are no error."""
    if slurm_jobs:
        answer(["scancel", "--quiet", *(one.id for one in slurm_jobs)])


def read_registry(folder: Path) -> dict[str, str]:
    """Returns ids on SLURM by the digests of a grid's jobs; none where the file is damaged."""
    try:
        content = json.loads((folder / REGISTRY).read_text())
    except (OSError, ValueError):  # jobs are found by their names then
        return {}
    return content if isinstance(content, dict) else {}


def write_registry(folder: Path, numbers: Mapping[str, str]) -> None:
    """Writes ids on SLURM by the digests of a grid's jobs."""
    with atomic_path(folder / REGISTRY) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1))


def require(*programs: str) -> None:
    """Refuses to go on where a command of SLURM is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            raise InputError(
                f"--engine slurm: {program} is not found, so this machine submits nothing to "
                "SLURM; log in to one that does, or use --engine local"
            )


def answer(command: Sequence[str], given: str = "") -> str:
    """Returns what a command of SLURM prints, given some standard input."""
    require(command[0])
    try:
        return subprocess.run(
            command, input=given, capture_output=True, text=True, check=True, timeout=_TIMEOUT
        ).stdout
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"exit status {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    raise InputError(f"--engine slurm: {command[0]} does not work: {reason}")


def _job(line: str) -> SlurmJob:
    number, state, name, waits, reason = line.split("|", _FORMAT.count("|"))
    return SlurmJob(number, state, name, _ids(waits, "afterok"), _ids(waits, "afterany"), reason)


def _ids(dependencies: str, kind: str) -> tuple[str, ...]:
    """Returns the ids in `afterok:12(unfulfilled),afterany:13(unfulfilled):14(unfulfilled)`."""
    parts = [part.partition(":") for part in dependencies.split(",")]
    return tuple(n for word, _, rest in parts if word == kind for n in re.findall(r"\d+", rest))


def _mark(folder: Path) -> str:
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]
