"""Searches for hyperparameters of CLIP-IT: each trial is a job a seed, like any other.

Settings are chosen by a metric of the validation that follows each run's training, on the split
that selects its checkpoint (BACH and CRC: the hold-out of `train`). No test result is read.
"""

import dataclasses
import functools
import json
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path
from clipit_eva.tasks import configs

from .. import store
from ..engines.local import run_local
from ..plan import identity
from ..plan.expansion import expand
from ..plan.job import Grid, Job
from ..plan.plan_file import Factor, Plan
from .search_results import SearchResult, Trial, write_results
from .search_settings import SearchSettings, Value

SEARCH = "search"  # folder of a grid that holds its search

Runner = Callable[[Grid, Collection[str]], object]
"""Runs the jobs of some digests and their dependencies; that one fails is no error of it."""


def run_search(
    plan: Plan, output: Path, parallel: int = 1, *, run: Runner | None = None
) -> SearchResult:
    """Searches for the best settings, or goes on with a search.

    The plan's own runs come first: trials are compared with its `clip_it`, and share its pairing
    and unimodal runs. Settings are written down before they are tried, and what came out stands in
    the jobs' records: a call that follows a killed one goes on as that would have. Equal settings
    are trained once. Failed trials are tried again by the next call.

    Args:
        plan: A plan with a search.
        output: The grid's folder; the search's files go to its folder `search`.
        parallel: Number of jobs at a time, at least 1; trials are drawn to keep so many busy.
        run: Runs jobs; None means on this machine.

    Raises:
        InputError: The plan has no search, Optuna is not installed, another process runs the
            search, the plan's own runs or all trials failed, or results lack the metric.
    """
    if plan.search is None:
        raise InputError("the plan has no section `search`")
    try:
        from .search_study import importance_of, propose
    except ModuleNotFoundError as error:
        raise InputError('a search needs Optuna: pip install "clipit-eva[search]"') from error
    run = run or (lambda grid, digests: run_local(grid, parallel, only=digests))
    search = _Search(plan, plan.search, output.absolute(), run)
    folder = search.folder / SEARCH
    folder.mkdir(parents=True, exist_ok=True)
    with store.locked(folder, patience=1):
        reference = search.reference()
        drawn = folder / f"{search.name()[:12]}.json"
        settings = json.loads(drawn.read_text()) if drawn.is_file() else []
        trials = search.attempt(0, settings)
        size = math.ceil(parallel / len(plan.seeds))
        while (left := plan.search.trials - len(trials)) > 0:
            new = propose(plan.search, trials, min(size - len(trials) % size, left))
            settings += new
            with atomic_path(drawn) as temporary:
                temporary.write_text(json.dumps(settings))
            trials += search.attempt(len(trials), new)
        if not any(trial.values for trial in trials):
            raise InputError(f"search: all trials failed; the first: {trials[0].message}")
        result = SearchResult(
            folder=folder,
            settings=plan.search,
            seeds=plan.seeds,
            metric=search.metric,
            reference=reference,
            trials=trials,
            importance=importance_of(plan.search, trials),
        )
        write_results(result, search.jobs(result.best.index, result.best.settings)[1][0])
    return result


def validation_metric(job: Job, metric: str) -> float:
    """Returns a metric of a finished run's validation, by its name in eva's `results.json`.

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
        default = configs.variables(self.plan.config("clip_it", task))["MONITOR_METRIC"]
        return self.base[0].environment.get("MONITOR_METRIC", default)

    def name(self) -> str:
        """Returns a name for the question: another number of trials continues the same search."""
        settings = dataclasses.asdict(self.settings)
        del settings["trials"]
        base = [job.digest for job in self.base]
        return identity.digest(settings=settings, metric=self.metric, base=base)

    def reference(self) -> float:
        """Runs the plan's own jobs; returns the metric's mean with its own settings."""
        grid = expand(self.plan, self.folder)
        store.write_grid(grid, self.plan.retries)
        self.run(grid, list(grid.jobs))
        for job in grid.jobs.values():
            if not store.is_finished(job.folder):
                raise InputError(f"search: {_failure(job)}; trials need the plan's own runs")
        return fmean(validation_metric(job, self.metric) for job in self.base)

    def attempt(self, first: int, settings: Sequence[Mapping[str, Value]]) -> list[Trial]:
        """Runs trials at once as far as they are not finished; returns what came out.

        `first` is the place of the first of them in the search, from 0.
        """
        found = [self.jobs(index, own) for index, own in enumerate(settings, start=first)]
        known = {job.digest: job for grid, _ in found for job in grid.jobs.values()}
        wanted = {job.digest: job for _, own in found for job in own}
        left = [digest for digest, job in wanted.items() if not store.is_finished(job.folder)]
        if left:
            grid = Grid.of(self.folder, known.values())
            store.write_jobs(grid, self.plan.retries)
            self.run(grid, left)
        trials = []
        for index, (own, (_, jobs)) in enumerate(zip(settings, found, strict=True), start=first):
            trials.append(trial := self._outcome(index, own, jobs))
            if any(job.digest in left for job in jobs):
                value = f"{self.metric} {trial.value:.4f}" if trial.values else ""
                came = value or f"failed: {trial.message}"
                said = f"trial {index + 1} of {self.settings.trials}: {came}"
                print(said, file=sys.stderr, flush=True)
        return trials

    def _outcome(self, index: int, settings: Mapping[str, Value], jobs: Sequence[Job]) -> Trial:
        try:
            for job in jobs:
                if not store.is_finished(job.folder):
                    raise InputError(_failure(job))
            values = tuple(validation_metric(job, self.metric) for job in jobs)
        except InputError as error:
            return Trial(index, settings, message=str(error))
        return Trial(index, settings, values)

    def jobs(self, index: int, settings: Mapping[str, Value]) -> tuple[Grid, list[Job]]:
        """Returns a trial's grid and its runs, one a seed."""
        name = f"trial_{index + 1}"
        included = Factor("clip_it", settings, name=name)
        plan = dataclasses.replace(self.plan, factors={}, include=(included,), exclude=())
        grid = expand(plan, self.folder)
        return grid, _runs(grid, plan, f"/{name}")


def _runs(grid: Grid, plan: Plan, variation: str) -> list[Job]:
    """Returns the runs of a variation of CLIP-IT, one a seed."""
    (task,), (backbone,) = plan.tasks, plan.backbones
    by_name = {name: job for job in grid.jobs.values() for name in job.names}
    return [by_name[f"clip_it/{task}/{backbone}{variation}/seed_{seed}"] for seed in plan.seeds]


def _failure(job: Job) -> str:
    record = store.read_record(job.folder)
    reason = "a run that it needs failed" if record is None else record.message
    return f"{job.name} did not finish: {reason}"
