"""What a search found: files for people, spreadsheets and `eva fit`."""

import csv
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from clipit_eva.files import atomic_path
from clipit_eva.tasks import configs

from ..plan.job import Job
from ..plan.variables import as_text
from .search_settings import SearchSettings, Value
from .search_study import Trial, distributions

_RERUN = "best"
"""Folder that a run of the best settings writes to, unless OUTPUT_ROOT says otherwise."""

_ENOUGH = 8
"""Finished trials below which a forest that is fitted to them says nothing."""


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        folder: Holds `trials.csv`, `importance.csv`, `best.yaml` and `summary.md`.
        metric: The validation metric that was optimised.
        reference: Its mean over seeds with the plan's own settings.
        trials: All trials, in order.
        best: The best of those that finished, the first of equal ones.
        importance: Share of the metric's variance that each variable explains, most first; empty
            if that cannot be told.
        summary: All this in words.
    """

    folder: Path
    metric: str
    reference: float
    trials: Sequence[Trial]
    best: Trial
    importance: Mapping[str, float]
    summary: str


def best_of(trials: Sequence[Trial], settings: SearchSettings) -> Trial:
    """Returns the best finished trial, the first of equal ones; there must be one."""
    sign = -1 if settings.direction == "maximize" else 1
    finished = [trial for trial in trials if trial.state == "finished"]
    return min(finished, key=lambda trial: (sign * trial.value, trial.index))


def importance_of(trials: Sequence[Trial], settings: SearchSettings) -> dict[str, float]:
    """Returns the share of the metric's variance that each variable explains.

    By functional ANOVA over a random forest (Hutter et al., ICML 2014), as Optuna has it.

    Args:
        trials: Finished trials, in order.
        settings: The search.

    Returns:
        Shares by variable, most first, which add up to 1; empty if too few trials differ.
    """
    if len(trials) < _ENOUGH or len({trial.value for trial in trials}) < 2:
        return {}
    study = optuna.create_study(direction=settings.direction)
    space = distributions(settings)
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: trial.settings[name] for name in space},
                distributions=space,
                value=trial.value,
            )
            for trial in trials
        ]
    )
    try:
        found = get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=settings.seed)
        )
    except (RuntimeError, ValueError):  # no tree of the forest has a split
        return {}
    return {name: float(share) for name, share in found.items()}


def write_results(
    folder: Path, settings: SearchSettings, seeds: Sequence[int], metric: str,
    reference: float, trials: Sequence[Trial], best_job: Job,
) -> SearchResult:  # fmt: skip
    """Writes what a search found.

    Args:
        folder: The search's folder.
        settings: The search.
        seeds: Seeds of each trial.
        metric: The metric that was optimised.
        reference: Its mean with the plan's own settings.
        trials: All trials, in order; at least one has finished.
        best_job: The best trial's run with the first seed.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    best, importance = best_of(trials, settings), importance_of(finished, settings)
    result = SearchResult(folder, metric, reference, trials, best, importance, "")
    summary = _summary(result, settings, seeds)
    _write_table(
        folder / "trials.csv",
        ["trial", *settings.space, "state", "value", *(f"seed_{s}" for s in seeds), "message"],
        [_row(trial, settings, seeds) for trial in trials],
    )
    _write_table(folder / "importance.csv", ["variable", "importance"], importance.items())
    _write(folder / "best.yaml", _config(result, seeds, best_job))
    _write(folder / "summary.md", summary)
    return dataclasses.replace(result, summary=summary)


def in_words(settings: Mapping[str, Value]) -> str:
    """Returns settings as a shell would have them."""
    return " ".join(f"{name}={as_text(value)}" for name, value in settings.items())


def _in_words(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _row(trial: Trial, settings: SearchSettings, seeds: Sequence[int]) -> list[object]:
    values = list(trial.values) or [""] * len(seeds)
    value = trial.value if trial.values else ""
    own = [as_text(trial.settings[name]) for name in settings.space]
    return [trial.index + 1, *own, trial.state, value, *values, trial.message]


def _config(result: SearchResult, seeds: Sequence[int], job: Job) -> str:
    """Returns the config of the best settings, with which `eva fit` needs no variable."""
    header = (
        f"# Trial {result.best.index + 1} of a search: {in_words(result.best.settings)}\n"
        f"# {result.metric} {result.best.value:.4f}, the mean over {_in_words(seeds)}.\n"
        f"# EVA_GLOBAL_SEED={seeds[0]} repeats its first run; for others set N_RUNS and\n"
        "# VISION_HEAD_CHECKPOINT, too.\n"
    )
    environment = {**job.environment, "OUTPUT_ROOT": str(result.folder / _RERUN)}
    shipped = Path(job.command[job.command.index("--config") + 1])
    return header + configs.with_values(shipped, environment)


def _summary(result: SearchResult, settings: SearchSettings, seeds: Sequence[int]) -> str:
    best = result.best
    finished = sum(trial.state == "finished" for trial in result.trials)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
    lines = [
        f"# Search over {', '.join(settings.space)}",
        "",
        f"{finished} of {settings.trials} trials finished. {settings.direction.capitalize()}d: "
        f"{result.metric} of the validation, mean over {_in_words(seeds)}. "
        "No test result was read.",
        "",
        "| settings | value |",
        "| --- | --- |",
        f"| the plan's own | {result.reference:.4f} |",
        f"| trial {best.index + 1}: {in_words(best.settings)} | {best.value:.4f} |",
        "",
        f"Share of the variance explained (fANOVA): {shares or 'too few trials differ to tell'}.",
        *(f"Trial {t.index + 1} ({in_words(t.settings)}) failed: {t.message}" for t in failed),
        "",
        "The best of many trials looks better than it is: report it on the test split with seeds "
        "that took no part here.",
        f"`eva fit --config {result.folder / 'best.yaml'}` runs it.",
        "",
    ]
    return "\n".join(lines)


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text)
