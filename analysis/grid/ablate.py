"""`clipit-eva ablate`: a plan, a folder, an engine."""

import dataclasses
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Literal

from clipit_eva.errors import InputError

from . import store
from .engines import slurm
from .engines.devices import visible_gpus
from .engines.local import run_local
from .plan.checks import check_inputs
from .plan.expansion import expand
from .plan.job import Grid
from .plan.plan_file import Plan, plan_path, read_plan
from .plan.planned_arms import planned_arms
from .status import failures, render_plan, render_status

Show = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Options:
    """What a call of `clipit-eva ablate` asks for.

    Attributes:
        engine: Where jobs run.
        parallel: Processes at a time on this machine; None means `default_parallel`.
        only: Names of jobs; they and what they need run. Empty means all.
        dry_run: Print the jobs and run nothing.
        status: Print how far each job is and run nothing.
        cancel: Cancel the jobs of a cluster and run nothing.
        slurm: Settings of SLURM that replace the plan's.
    """

    engine: Literal["local", "slurm"] = "local"
    parallel: int | None = None
    only: tuple[str, ...] = ()
    dry_run: bool = False
    status: bool = False
    cancel: bool = False
    slurm: dict[str, Any] = dataclasses.field(default_factory=dict)


def ablate(source: str, output: Path, options: Options, show: Show) -> bool:
    """Runs a plan, or goes on with one; finished jobs in the output folder are kept.

    `source` is the plan's file, or the name of a shipped one (`ablations/demo`); `show` prints a
    text. Returns whether no job has failed.

    Raises:
        InputError: The plan is wrong, the folder holds something else, inputs are missing, or the
            engine is not there.
    """
    if options.parallel is not None and options.parallel < 1:
        raise InputError(f"--jobs {options.parallel} must be at least 1")
    plan = read_plan(plan_path(source))
    grid = expand(plan, output)
    chosen = _chosen(grid, options.only)
    if options.dry_run:
        show(render_plan(grid, planned_arms(grid)))
    elif options.status:
        show(render_status(grid, _in_queue(grid, options)))
    elif options.cancel:
        if options.engine != "slurm":
            raise InputError("--cancel needs --engine slurm; end a local run by Ctrl-C")
        show(f"cancelled {len(slurm.cancel(grid))} jobs")
    else:
        planned_arms(grid)  # refuses runs that a report could not tell apart
        return _run(plan, grid, chosen, options, show)
    return True


def _run(plan: Plan, grid: Grid, chosen: Collection[str], options: Options, show: Show) -> bool:
    store.claim(grid.folder)
    check_inputs(grid)
    if options.engine == "slurm":
        if plan.search is not None:
            raise InputError(
                "--engine slurm submits jobs, and a search has trials that follow from others; "
                "submit this command without --engine as one job"
            )
        settings = slurm.read_settings({**plan.slurm, **options.slurm})
        slurm.check(grid, settings)
        store.write_grid(grid, plan.retries)
        slurm.submit(grid, settings, chosen)
        show(render_status(grid, _in_queue(grid, options)))
        return True
    store.write_grid(grid, plan.retries)
    if plan.search is not None and not options.only:
        from .search.search_run import run_search

        show(run_search(plan, grid.folder, options.parallel or default_parallel()).summary)
        return True
    outcome = run_local(grid, options.parallel or default_parallel(), only=chosen)
    for digest, job in grid.jobs.items():
        record = store.read_record(job.folder)
        if job.kind == "report" and digest in outcome.finished and record is not None:
            show((job.folder / record.log).read_text())
    failed = [job for digest, job in grid.jobs.items() if digest in outcome.failed]
    finished = f"{len(outcome.finished)} of {outcome.total} jobs are finished"
    show("\n".join([finished, *failures(failed)]))
    return len(outcome.finished) == outcome.total


def default_parallel() -> int:
    """Returns how many jobs run at a time: one a GPU; without, one a core, at most two."""
    return len(visible_gpus()) or min(2, os.cpu_count() or 1)


def _chosen(grid: Grid, names: Collection[str]) -> set[str]:
    """Returns the digests of jobs by name, and of all that they need."""
    if not names:
        return set(grid.jobs)
    digests = {
        name: job.digest for job in grid.jobs.values() for name in (*job.names, job.folder.name)
    }
    for name in names:
        if name not in digests:
            raise InputError(f"--only {name}: there is no such job; --dry-run lists them")
    return set(grid.with_dependencies([digests[name] for name in names]))


def _in_queue(grid: Grid, options: Options) -> dict[str, str]:
    if options.engine != "slurm":
        return {}
    return {digest: job.state for digest, job in slurm.jobs_of(grid).items()}
