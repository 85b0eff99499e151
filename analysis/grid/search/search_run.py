"""Searches for hyperparameters of CLIP-IT: each trial is a job a seed, like any other.

Settings are chosen by a metric of the validation that follows each run's training, on the split
that selects its checkpoint (BACH and CRC: the hold-out of `train`). No test result is read.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipit_eva.errors import InputError
from clipit_eva.tasks import configs

from .. import store
from ..plan import identity
from ..plan.expansion import expand
from ..plan.job import Grid, Job
from ..plan.plan_file import Factor, Plan, Selection
from .search_settings import SearchSettings

if TYPE_CHECKING:  # these need the extra `search`
    from .search_results import SearchResult
    from .search_study import Study, Trial

SEARCH = "search"
"""Folder of a grid that holds its search."""

Runner = Callable[[Grid, Collection[str]], object]
"""Runs the jobs of some digests and what they need; that a job fails is no error of it."""

_GLANCE = 1.0
"""Seconds between two looks at trials that other processes run."""


def run_search(
    plan: Plan, output: Path, parallel: int = 1, *, run: Runner | None = None
) -> SearchResult:
    """Searches for the best settings, or goes on with a search.

    The plan's own runs come first: trials are compared with its `clip_it`, and share its pairing
    and unimodal runs. A trial's value is the mean over the plan's seeds. Settings that were tried
    before are found again and not trained again. Several calls, on machines that share the disk,
    work on one search; what a killed one left is taken up by the next. Failed trials are tried
    again by the next call that is alone.

    Args:
        plan: A plan with a search.
        output: The grid's folder; the search's files go to its folder `search`.
        parallel: Number of jobs that run at a time, at least 1. As many trials as that needs are
            drawn at once.
        run: Runs jobs; None means on this machine.

    Returns:
        What was found.

    Raises:
        InputError: The plan has no search, Optuna is not installed, the plan's own runs or all
            trials failed, or results lack the metric.
    """
    if plan.search is None:
        raise InputError("the plan has no section `search`")
    try:
        from .search_study import open_study
    except ModuleNotFoundError as error:
        raise InputError('a search needs Optuna: pip install "clipit-eva[search]"') from error
    search = _Search(plan, plan.search, output.absolute(), run or _on_this_machine(parallel))
    reference = search.reference()
    folder = search.folder / SEARCH
    size = math.ceil(parallel / len(plan.seeds))
    with open_study(folder, search.name(), plan.search) as study:
        study.retry_failed()
        while True:
            taken = study.take(size)
            if taken:
                search.attempt(study, taken)
            elif any(trial.state == "running" for trial in study.trials()):
                time.sleep(_GLANCE)
            else:
                break
        with study.turn:
            return search.write(study.trials(), reference)


def validation_metric(job: Job, metric: str) -> float:
    """Returns a metric of the validation of a finished run.

    Args:
        job: The run.
        metric: The metric's name in eva's `results.json`, such as `val/MulticlassAccuracy`.

    Raises:
        InputError: The results lack it, or it is not a number.
    """
    (path,) = job.work.glob("**/results.json")
    found = json.loads(path.read_text())["metrics"]["val"][0]  # the test results lie beside it
    if metric not in found:
        raise InputError(f"search.metric: {path} has no {metric}; there are {', '.join(found)}")
    value = float(found[metric]["mean"])
    if not math.isfinite(value):
        raise InputError(f"search.metric: {metric} of {path} is {value}")
    return value


def _on_this_machine(parallel: int) -> Runner:
    from ..engines.local import run_local

    return lambda grid, digests: run_local(grid, parallel, only=digests)


@dataclasses.dataclass(frozen=True)
class _Search:
    """A search's jobs: which there are, how they run and what came out."""

    plan: Plan
    settings: SearchSettings
    folder: Path
    run: Runner

    @functools.cached_property
    def base(self) -> list[Job]:
        """The runs with the plan's own settings, one a seed."""
        plan = dataclasses.replace(self.plan, factors={}, include=(), exclude=())
        return _runs(expand(plan, self.folder), plan, "")

    @functools.cached_property
    def metric(self) -> str:
        """The metric that is optimised."""
        (task,) = self.plan.tasks
        if self.settings.metric is not None:
            return self.settings.metric
        default = configs.variables(configs.path(f"clip_it/{task}"))["MONITOR_METRIC"]
        return self.base[0].environment.get("MONITOR_METRIC", default)

    def name(self) -> str:
        """Returns a name for the question: another number of trials continues the same study."""
        settings = dataclasses.asdict(self.settings)
        del settings["trials"]
        return identity.digest(
            settings=settings, metric=self.metric, base=[c.digest for c in self.base]
        )

    def reference(self) -> float:
        """Runs the plan's own jobs; returns the metric's mean with its own settings."""
        grid = expand(self.plan, self.folder)
        store.write_grid(grid, self.plan.retries)
        self.run(grid, list(grid.jobs))
        for job in grid.jobs.values():
            if not store.is_finished(job.folder):
                raise InputError(f"search: {_failure(job)}; trials need the plan's own runs")
        return _mean([validation_metric(job, self.metric) for job in self.base])

    def attempt(self, study: Study, trials: Sequence[Trial]) -> None:
        """Runs trials at once and notes what came out."""
        jobs = {trial.index: self._jobs(trial) for trial in trials}
        known = {c.digest: c for grid, _ in jobs.values() for c in grid.jobs.values()}
        grid = Grid.of(self.folder, known.values())
        store.write_jobs(grid, self.plan.retries)
        self.run(grid, list({job.digest: None for _, own in jobs.values() for job in own}))
        for trial in trials:
            _, own = jobs[trial.index]
            failed = [job for job in own if not store.is_finished(job.folder)]
            try:
                if failed:
                    raise InputError(_failure(failed[0]))
                values = [validation_metric(job, self.metric) for job in own]
                study.finish(trial, values)
                outcome = f"{self.metric} {_mean(values):.4f}"
            except InputError as error:
                study.fail(trial, str(error))
                outcome = f"failed: {error}"
            said = f"trial {trial.index + 1} of {self.settings.trials}: {outcome}"
            print(said, file=sys.stderr, flush=True)

    def write(self, trials: Sequence[Trial], reference: float) -> SearchResult:
        """Writes what was found."""
        from .search_results import best_of, write_results

        finished = [trial for trial in trials if trial.state == "finished"]
        if not finished:
            raise InputError(f"search: all trials failed; the first: {trials[0].message}")
        _, jobs = self._jobs(best_of(finished, self.settings))
        return write_results(
            self.folder / SEARCH, self.settings, self.plan.seeds, self.metric,
            reference, trials, jobs[0],
        )  # fmt: skip

    def _jobs(self, trial: Trial) -> tuple[Grid, list[Job]]:
        """Returns a trial's grid and its runs, one a seed."""
        arm = f"trial_{trial.index + 1}"
        included = (arm, Factor("clip_it", trial.settings), Selection())
        plan = dataclasses.replace(self.plan, factors={}, include=(included,), exclude=())
        grid = expand(plan, self.folder)
        return grid, _runs(grid, plan, f"/{arm}")


def _runs(grid: Grid, plan: Plan, arm: str) -> list[Job]:
    """Returns the runs of an arm of CLIP-IT, in the order of the plan's seeds."""
    (task,), (backbone,) = plan.tasks, plan.backbones
    by_name = {name: c for c in grid.jobs.values() for name in (c.name, *c.aliases)}
    return [by_name[f"clip_it/{task}/{backbone}{arm}/seed_{seed}"] for seed in plan.seeds]


def _failure(job: Job) -> str:
    """Returns why a job is not finished."""
    record = store.read_record(job.folder)
    reason = "a run that it needs failed" if record is None else record.message
    return f"{job.name} did not finish: {reason}"


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
