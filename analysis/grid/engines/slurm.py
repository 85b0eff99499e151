"""The SLURM engine: every job is submitted in one go; the caller need not stay.

A SLURM job starts once those of its dependencies have ended well (`afterok`); if one of them
fails, SLURM removes it (`--kill-on-invalid-dep`). `max_running` holds by lanes: they stand in
that many lines, in each of which one starts when the one before it has ended (`afterany`). An
array would hold it too, but all its SLURM jobs would need the same ones.

Jobs that are there already are found by the grid's registry, and by their names where that is
lost; what is finished stands in the jobs' records. So the same call, repeated, submits just what
failed, was cancelled or got lost.
"""

import contextlib
import dataclasses
import fcntl
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError

from .. import store
from ..plan.job import Grid, Job
from . import slurm_job, slurm_queue
from .slurm_queue import SlurmJob
from .slurm_settings import Resources, SlurmSettings, check_kinds, read_settings

__all__ = ["Job", "SlurmSettings", "Submitted", "cancel", "jobs_of", "read_settings", "submit"]

_LOGS = "slurm"
"""Folder of a job for what its SLURM jobs print and what they are given to run."""

_LOCK = "slurm.lock"


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A job that has a SLURM job now.

    Attributes:
        job: The job.
        id: That of its SLURM job.
        is_new: Whether this call has submitted it; else it was there.
    """

    job: Job
    id: str
    is_new: bool


def check(grid: Grid, settings: SlurmSettings) -> None:
    """Refuses what cannot be submitted, before anything is written.

    Args:
        grid: The jobs.
        settings: What SLURM jobs ask for.

    Raises:
        InputError: SLURM or submitit is not installed, or settings are given for a kind of job
            that is not there.
    """
    slurm_queue.require("sbatch", "srun", "squeue", "scancel")
    _submitit()
    check_kinds(settings, [job.kind for job in grid.jobs.values()])


def submit(
    grid: Grid, settings: SlurmSettings, only: Collection[str] | None = None
) -> list[Submitted]:
    """Submits a SLURM job for each job that is neither finished nor has a SLURM job.

    Args:
        grid: The jobs, as `store.write_grid` wrote them.
        settings: What SLURM jobs ask for, and how many run at once.
        only: Digests of the jobs to submit, together with what these need; None means all.

    Returns:
        The jobs that have a SLURM job now, in the grid's order.

    Raises:
        InputError: SLURM or submitit is not installed, SLURM does not answer or refuses a job,
            settings are given for a kind of job that is not there, or another process submits
            the grid. Jobs that SLURM has taken until then stay; a later call adds the others.
    """
    check(grid, settings)
    submitit = _submitit()
    with _alone(grid.folder):
        slurm_jobs = [queued for queued in slurm_queue.jobs_in(grid.folder) if queued.is_live]
        finished = {d for d, job in grid.jobs.items() if store.is_finished(job.folder)}
        kept = _kept(grid, slurm_jobs, finished)
        wanted = grid.with_dependencies(only)
        new = [job for d, job in wanted.items() if d not in finished | kept.keys()]
        replaced = {job.digest[:12] for job in new}
        slurm_queue.cancel(
            [queued for queued in slurm_jobs if queued.name.split("-")[1] in replaced]
        )
        numbers = {digest: queued.id for digest, queued in kept.items()}
        slurm_queue.write_registry(grid.folder, numbers)
        lanes = _lanes(
            [queued for queued in slurm_jobs if queued.name.split("-")[1] not in replaced],
            settings.max_running,
        )
        for place, job in enumerate(new):
            lane = lanes[place % len(lanes)] if lanes else []
            dependencies = [numbers[need] for need in job.dependencies if need not in finished]
            store.forget(job.folder)
            executor = _executor(
                submitit, job, grid.folder, settings.of(job.kind), dependencies, lane
            )
            numbers[job.digest] = _submitted(executor, job, place, len(new))
            lane[:] = [numbers[job.digest]]
            slurm_queue.write_registry(grid.folder, numbers)
    return [
        Submitted(job, numbers[digest], digest not in kept)
        for digest, job in grid.jobs.items()
        if digest in numbers
    ]


def jobs_of(grid: Grid) -> dict[str, SlurmJob]:
    """Returns the SLURM job of each job that has or had one, by digest.

    The state is that of squeue; for a SLURM job that it has forgotten that of sacct, or, where no
    accounts are kept, what the job's record tells: COMPLETED, FAILED, or GONE without a record.

    Args:
        grid: The jobs.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    found = slurm_queue.by_job(grid, slurm_queue.jobs_in(grid.folder))
    registry = slurm_queue.read_registry(grid.folder)
    old = {d: registry[d] for d in grid.jobs if d in registry and d not in found}
    states = slurm_queue.states_of_old(list(old.values()))
    for digest, number in old.items():
        state = states.get(number) or _state_by_record(grid.jobs[digest].folder)
        found[digest] = SlurmJob(
            number, state, slurm_queue.job_name(grid.jobs[digest], grid.folder)
        )
    return found


def cancel(grid: Grid) -> list[SlurmJob]:
    """Cancels all SLURM jobs of a grid's folder, those of jobs that left the plan included.

    Args:
        grid: The jobs.

    Returns:
        The SLURM jobs that were there.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    live = [queued for queued in slurm_queue.jobs_in(grid.folder) if queued.is_live]
    slurm_queue.cancel(live)
    return live


def _kept(
    grid: Grid, slurm_jobs: Sequence[SlurmJob], finished: Collection[str]
) -> dict[str, SlurmJob]:
    """Returns the SLURM jobs that end their jobs, by digest; others have to be replaced.

    One that waits for one that will not end well waits in vain; SLURM removes it only later.
    """
    live = {queued.id for queued in slurm_jobs}
    kept: dict[str, SlurmJob] = {}
    for digest, queued in slurm_queue.by_job(grid, slurm_jobs).items():
        job = grid.jobs[digest]
        left = [need for need in job.dependencies if need not in finished]
        in_vain = any(need not in kept for need in left)
        in_vain |= bool(left) and not live.issuperset(queued.dependencies)
        if digest in finished or (queued.state == "PENDING" and in_vain):
            continue
        if _task(
            job, queued.id
        ).is_file():  # else the caller was killed while it submitted the SLURM job
            kept[digest] = queued
    return kept


def _lanes(slurm_jobs: Sequence[SlurmJob], max_running: int | None) -> list[list[str]]:
    """Returns the ids of the SLURM jobs that stand last in each lane, short lanes first.

    Args:
        slurm_jobs: SLURM jobs that are there.
        max_running: Number of lanes; None for no lanes.
    """
    followed = {number for queued in slurm_jobs for number in queued.follows}
    last = [queued.id for queued in slurm_jobs if queued.id not in followed]
    lanes = [last[lane::max_running] for lane in range(max_running or 0)]
    return sorted(lanes, key=len)


def _executor(
    submitit: Any,
    job: Job,
    folder: Path,
    resources: Resources,
    dependencies: Sequence[str],
    lane: Sequence[str],
) -> Any:
    """Returns an executor for one job: submitit keeps parameters from one SLURM job to the next."""
    edges = [
        f"{kind}:{':'.join(ids)}"
        for kind, ids in (("afterok", dependencies), ("afterany", lane))
        if ids
    ]
    executor = submitit.SlurmExecutor(job.folder / _LOGS)
    executor.update_parameters(
        job_name=slurm_queue.job_name(job, folder),
        partition=resources.partition,
        account=resources.account,
        time=resources.time,  # None counts: without it submitit asks for five minutes
        mem=resources.memory,
        gpus_per_node=resources.gpus or None,
        cpus_per_task=resources.cpus,
        dependency=",".join(edges) or None,
        wckey=None,
        stderr_to_stdout=True,
        # A step of `srun` would not get all CPUs of its SLURM job, and variables of one from which
        # the grid is submitted would confuse it.
        use_srun=False,
        additional_parameters={"kill-on-invalid-dep": "yes", **resources.parameters},
    )
    return executor


def _submitted(executor: Any, job: Job, done: int, total: int) -> str:
    """Submits a job's SLURM job; returns its id."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit(slurm_job.run, str(job.folder)).job_id
    except (FailedJobError, FailedSubmissionError) as error:
        lines = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        raise InputError(
            f"SLURM refuses the job of {job.name}: {lines[-1]}; {done} of {total} jobs are "
            "submitted, the same command submits the others"
        ) from error


def _task(job: Job, number: str) -> Path:
    """Returns the file that tells a SLURM job what to run; submitit writes it last."""
    return job.folder / _LOGS / f"{number}_submitted.pkl"


def _state_by_record(folder: Path) -> str:
    record = store.read_record(folder)
    if record is None:
        return slurm_queue.GONE
    return "FAILED" if record.status else "COMPLETED"


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            '--engine slurm needs submitit; install it: pip install "clipit-eva[slurm]"'
        ) from error
    return submitit


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from submitting the same grid at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process submits the grid {folder}; wait for it and repeat the command"
            ) from None
        yield
