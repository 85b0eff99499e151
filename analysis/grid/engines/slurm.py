"""The SLURM engine: one job a cell, submitted in one go; the caller need not stay.

A job starts once the jobs of the cells that it needs have ended well (`afterok`); if one of them
fails, SLURM removes it (`--kill-on-invalid-dep`). `max_running` holds by lanes: the jobs stand in
that many lines, in each of which one starts when the one before it has ended (`afterany`). An
array would hold it too, but all its jobs would need the same ones.

Jobs that are there already are found by the grid's registry, and by their names where that is
lost; what is finished stands in the cells' records. So the same call, repeated, submits just what
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
from ..plan.job import Cell, Grid
from . import slurm_job, slurm_queue
from .slurm_queue import Job
from .slurm_settings import Resources, SlurmSettings, check_kinds, read_settings

__all__ = ["Job", "SlurmSettings", "Submitted", "cancel", "jobs_of", "read_settings", "submit"]

_LOGS = "slurm"
"""Folder of a cell for what its jobs print and what they are given to run."""

_LOCK = "slurm.lock"


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A cell that has a job now.

    Attributes:
        cell: The cell.
        job: Id of its job.
        is_new: Whether this call has submitted it; else it was there.
    """

    cell: Cell
    job: str
    is_new: bool


def check(grid: Grid, settings: SlurmSettings) -> None:
    """Refuses what cannot be submitted, before anything is written.

    Args:
        grid: The cells.
        settings: What jobs ask for.

    Raises:
        InputError: SLURM or submitit is not installed, or settings are given for a kind of cell
            that is not there.
    """
    slurm_queue.require("sbatch", "srun", "squeue", "scancel")
    _submitit()
    check_kinds(settings, [cell.kind for cell in grid.cells.values()])


def submit(
    grid: Grid, settings: SlurmSettings, only: Collection[str] | None = None
) -> list[Submitted]:
    """Submits a job for each cell that is neither finished nor has a job.

    Args:
        grid: The cells, as `store.write_grid` wrote them.
        settings: What jobs ask for, and how many run at once.
        only: Digests of the cells to submit, together with what these need; None means all.

    Returns:
        The cells that have a job now, in the grid's order.

    Raises:
        InputError: SLURM or submitit is not installed, SLURM does not answer or refuses a job,
            settings are given for a kind of cell that is not there, or another process submits
            the grid. Jobs that SLURM has taken until then stay; a later call adds the others.
    """
    check(grid, settings)
    submitit = _submitit()
    with _alone(grid.folder):
        jobs = [job for job in slurm_queue.jobs_in(grid.folder) if job.is_live]
        finished = {d for d, cell in grid.cells.items() if store.is_finished(cell.folder)}
        kept = _kept(grid, jobs, finished)
        wanted = grid.with_needs(only)
        new = [cell for d, cell in wanted.items() if d not in finished | kept.keys()]
        replaced = {cell.digest[:12] for cell in new}
        slurm_queue.cancel([job for job in jobs if job.name.split("-")[1] in replaced])
        numbers = {digest: job.id for digest, job in kept.items()}
        slurm_queue.write_registry(grid.folder, numbers)
        lanes = _lanes(
            [job for job in jobs if job.name.split("-")[1] not in replaced], settings.max_running
        )
        for place, cell in enumerate(new):
            lane = lanes[place % len(lanes)] if lanes else []
            needs = [numbers[need] for need in cell.needs if need not in finished]
            store.forget(cell.folder)
            executor = _executor(submitit, cell, grid.folder, settings.of(cell.kind), needs, lane)
            numbers[cell.digest] = _submitted(executor, cell, place, len(new))
            lane[:] = [numbers[cell.digest]]
            slurm_queue.write_registry(grid.folder, numbers)
    return [
        Submitted(cell, numbers[digest], digest not in kept)
        for digest, cell in grid.cells.items()
        if digest in numbers
    ]


def jobs_of(grid: Grid) -> dict[str, Job]:
    """Returns the job of each cell that has or had one, by digest.

    The state is that of squeue; for a job that it has forgotten that of sacct, or, where no
    accounts are kept, what the cell's record tells: COMPLETED, FAILED, or GONE without a record.

    Args:
        grid: The cells.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    found = slurm_queue.by_cell(grid, slurm_queue.jobs_in(grid.folder))
    registry = slurm_queue.read_registry(grid.folder)
    old = {d: registry[d] for d in grid.cells if d in registry and d not in found}
    states = slurm_queue.states_of_old(list(old.values()))
    for digest, number in old.items():
        state = states.get(number) or _state_by_record(grid.cells[digest].folder)
        found[digest] = Job(number, state, slurm_queue.job_name(grid.cells[digest], grid.folder))
    return found


def cancel(grid: Grid) -> list[Job]:
    """Cancels all jobs of a grid's folder, those of cells that left the plan included.

    Args:
        grid: The cells.

    Returns:
        The jobs that were there.

    Raises:
        InputError: SLURM is absent or does not answer.
    """
    live = [job for job in slurm_queue.jobs_in(grid.folder) if job.is_live]
    slurm_queue.cancel(live)
    return live


def _kept(grid: Grid, jobs: Sequence[Job], finished: Collection[str]) -> dict[str, Job]:
    """Returns the jobs that bring their cells to an end, by digest; others have to be replaced.

    A job that waits for one that will not end well waits in vain; SLURM removes it only later.
    """
    live = {job.id for job in jobs}
    kept: dict[str, Job] = {}
    for digest, job in slurm_queue.by_cell(grid, jobs).items():
        cell = grid.cells[digest]
        left = [need for need in cell.needs if need not in finished]
        in_vain = any(need not in kept for need in left)
        in_vain |= bool(left) and not live.issuperset(job.needs)
        if digest in finished or (job.state == "PENDING" and in_vain):
            continue
        if _task(cell, job.id).is_file():  # else the caller was killed while it submitted the job
            kept[digest] = job
    return kept


def _lanes(jobs: Sequence[Job], max_running: int | None) -> list[list[str]]:
    """Returns the ids of the jobs that stand last in each lane, lanes with few jobs first.

    Args:
        jobs: Jobs that are there.
        max_running: Number of lanes; None for no lanes.
    """
    followed = {number for job in jobs for number in job.follows}
    last = [job.id for job in jobs if job.id not in followed]
    lanes = [last[lane::max_running] for lane in range(max_running or 0)]
    return sorted(lanes, key=len)


def _executor(
    submitit: Any,
    cell: Cell,
    folder: Path,
    resources: Resources,
    needs: Sequence[str],
    lane: Sequence[str],
) -> Any:
    """Returns an executor for one cell: submitit keeps parameters from one job to the next."""
    edges = [
        f"{kind}:{':'.join(ids)}" for kind, ids in (("afterok", needs), ("afterany", lane)) if ids
    ]
    executor = submitit.SlurmExecutor(cell.folder / _LOGS)
    executor.update_parameters(
        job_name=slurm_queue.job_name(cell, folder),
        partition=resources.partition,
        account=resources.account,
        time=resources.time,  # None counts: without it submitit asks for five minutes
        mem=resources.memory,
        gpus_per_node=resources.gpus or None,
        cpus_per_task=resources.cpus,
        dependency=",".join(edges) or None,
        wckey=None,
        stderr_to_stdout=True,
        # A step of `srun` would not get all CPUs of its job, and variables of a job from which
        # the grid is submitted would confuse it.
        use_srun=False,
        additional_parameters={"kill-on-invalid-dep": "yes", **resources.parameters},
    )
    return executor


def _submitted(executor: Any, cell: Cell, done: int, total: int) -> str:
    """Submits a cell's job; returns its id."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.submit(slurm_job.run, str(cell.folder)).job_id
    except (FailedJobError, FailedSubmissionError) as error:
        lines = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        raise InputError(
            f"SLURM refuses the job of {cell.name}: {lines[-1]}; {done} of {total} jobs are "
            "submitted, the same command submits the others"
        ) from error


def _task(cell: Cell, number: str) -> Path:
    """Returns the file that tells a job what to run; submitit writes it once the job has an id."""
    return cell.folder / _LOGS / f"{number}_submitted.pkl"


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
