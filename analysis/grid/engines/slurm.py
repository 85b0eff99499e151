"""The SLURM engine: all jobs are submitted in one go by sbatch; the caller need not stay.

A job starts once its dependencies have ended well (`afterok`); if one of them fails, SLURM removes
it (`--kill-on-invalid-dep`). `max_running` holds by lanes: the jobs stand in that many lines, in
each of which one starts when the one before it has ended (`afterany`). An array would hold it
too, but all its jobs would have the same dependencies.

What SLURM has already is found by the grid's registry, and by names where that is lost; what is
finished stands in the jobs' records. So the same call, repeated, submits just what failed, was
cancelled or got lost.
"""

import dataclasses
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from clipit_eva.errors import InputError

from .. import store
from ..plan.fields import check_keys
from ..plan.job import Grid, Job
from . import slurm_queue, worker
from .slurm_queue import SlurmJob
from .slurm_settings import Options, SlurmSettings, read_settings

__all__ = ["SlurmJob", "SlurmSettings", "Submitted", "cancel", "jobs_of", "read_settings", "submit"]

_LOGS = "slurm"  # folder of a job for what its workers print: nothing, unless something is wrong

_LOCK = "slurm.lock"

# By SLURM_NTASKS, set where a grid is submitted from within a job, Lightning would take a process
# for one of several that `srun` started. More threads than CPUs would get in each other's way.
_SCRIPT = """#!/bin/sh
unset SLURM_NTASKS
if [ -n "$SLURM_CPUS_PER_TASK" ]; then
  export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}}"
fi
exec {command}
"""
"""What runs on the node: the worker itself gets SLURM's signals."""


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A job that SLURM has now, by which id, and whether this call has submitted it."""

    job: Job
    id: str
    is_new: bool


def check(grid: Grid, settings: SlurmSettings) -> None:
    """Refuses, before anything is written, settings of kinds that are not there, and no SLURM."""
    slurm_queue.require("sbatch", "squeue", "scancel")
    check_keys(settings.kinds, list({job.kind: None for job in grid.jobs.values()}), "slurm.kinds.")


def submit(
    grid: Grid, settings: SlurmSettings, only: Collection[str] | None = None
) -> list[Submitted]:
    """Submits each job that is neither finished nor known to SLURM.

    Args:
        grid: The jobs, as `store.write_grid` wrote them.
        settings: What jobs ask for, and how many run at once.
        only: Digests of the jobs to submit, together with their dependencies; None means all.

    Returns:
        The jobs that SLURM has now, in the grid's order.

    Raises:
        InputError: SLURM is not installed, does not answer or refuses a job, settings are given
            for a kind of job that is not there, or another process submits the grid. Jobs that
            SLURM has taken until then stay; a later call adds the others.
    """
    check(grid, settings)
    with store.locked(grid.folder, 0, _LOCK, "submits the grid"):
        live = [one for one in slurm_queue.jobs_in(grid.folder) if one.is_live]
        finished = {d for d, job in grid.jobs.items() if store.is_finished(job.folder)}
        kept = _kept(grid, live, finished)
        wanted = grid.with_dependencies(only)
        new = [job for digest, job in wanted.items() if digest not in finished | kept.keys()]
        replaced = {job.digest[:12] for job in new}
        slurm_queue.cancel([one for one in live if one.digest in replaced])
        numbers = {digest: one.id for digest, one in kept.items()}
        slurm_queue.write_registry(grid.folder, numbers)
        lanes = _lanes([one for one in live if one.digest not in replaced], settings.max_running)
        for place, job in enumerate(new):
            lane = lanes[place % len(lanes)] if lanes else []
            after = [numbers[other] for other in job.dependencies if other not in finished]
            store.forget(job.folder)
            said = f"{place} of {len(new)} jobs are submitted, the same command submits the others"
            try:
                number = _sbatch(job, grid.folder, settings.of(job.kind), after, lane)
            except InputError as error:
                raise InputError(f"SLURM refuses the job of {job.name}: {error}; {said}") from error
            numbers[job.digest] = number
            lane[:] = [number]
            slurm_queue.write_registry(grid.folder, numbers)
    return [
        Submitted(job, numbers[digest], digest not in kept)
        for digest, job in grid.jobs.items()
        if digest in numbers
    ]


def jobs_of(grid: Grid) -> dict[str, SlurmJob]:
    """Returns what SLURM says of each job that it has or had, by digest.

    The state is that of squeue; for a job that it has forgotten that of sacct, or, where no
    accounts are kept, what the job's record tells: COMPLETED, FAILED, or GONE without a record.
    Raises InputError if SLURM is absent or does not answer, as `cancel` does.
    """
    found = slurm_queue.by_job(grid, slurm_queue.jobs_in(grid.folder))
    registry = slurm_queue.read_registry(grid.folder)
    old = {d: registry[d] for d in grid.jobs if d in registry and d not in found}
    states = slurm_queue.states_of_old(list(old.values()))
    for digest, number in old.items():
        job = grid.jobs[digest]
        state = states.get(number)
        if state is None:
            record = store.read_record(job.folder)
            ended = "FAILED" if record is not None and record.status else "COMPLETED"
            state = slurm_queue.GONE if record is None else ended
        found[digest] = SlurmJob(number, state, slurm_queue.job_name(job, grid.folder))
    return found


def cancel(grid: Grid) -> list[SlurmJob]:
    """Cancels all jobs of a grid's folder, those that left the plan included; returns them."""
    live = [one for one in slurm_queue.jobs_in(grid.folder) if one.is_live]
    slurm_queue.cancel(live)
    return live


def _kept(grid: Grid, live: Sequence[SlurmJob], finished: Collection[str]) -> dict[str, SlurmJob]:
    """Returns the SLURM jobs that bring jobs to an end, by digest; others have to be replaced.

    One that waits for one that will not end well waits in vain; SLURM removes it only later.
    """
    ids = {one.id for one in live}
    kept: dict[str, SlurmJob] = {}
    for digest, one in slurm_queue.by_job(grid, live).items():
        left = [other for other in grid.jobs[digest].dependencies if other not in finished]
        in_vain = any(other not in kept for other in left)
        in_vain |= bool(left) and not ids.issuperset(one.dependencies)
        if digest not in finished and not (one.state == "PENDING" and in_vain):
            kept[digest] = one
    return kept


def _lanes(live: Sequence[SlurmJob], max_running: int | None) -> list[list[str]]:
    """Returns the ids that stand last in each of `max_running` lanes, short lanes first."""
    followed = {number for one in live for number in one.follows}
    last = [one.id for one in live if one.id not in followed]
    return sorted((last[lane::max_running] for lane in range(max_running or 0)), key=len)


def _sbatch(
    job: Job, folder: Path, options: Options, after: Sequence[str], lane: Sequence[str]
) -> str:
    logs = job.folder / _LOGS
    logs.mkdir(exist_ok=True)
    waits = {"afterok": after, "afterany": lane}
    edges = [":".join([kind, *ids]) for kind, ids in waits.items() if ids]
    own = {
        "job-name": slurm_queue.job_name(job, folder),
        "output": f"{str(logs).replace('%', '%%')}/%j.txt",
        "kill-on-invalid-dep": "yes",
        "nodes": 1,
        **({"dependency": ",".join(edges)} if edges else {}),
        **{name: value for name, value in options.items() if (name, value) != ("gpus-per-node", 0)},
    }
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in own.items()]
    script = _SCRIPT.format(command=shlex.join(worker.command(job.folder)))
    # "12" or, of a federation, "12;cluster"
    return slurm_queue.answer(["sbatch", "--parsable", *words], script).strip().partition(";")[0]
