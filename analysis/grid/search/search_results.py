"""What a search found: files for people, spreadsheets and `eva fit`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.files import atomic_path
from clipit_eva.tasks import configs

from ..plan.job import Job
from ..plan.variables import as_text
from .search_settings import SearchSettings, Value

_RERUN = "best"  # folder of a run of the best settings, unless OUTPUT_ROOT says otherwise


@dataclasses.dataclass(frozen=True)
class Trial:
    """Settings that were tried at a place of the search, from 0.

    Of a trial that failed there are no `values` (one a seed), but a message that says why.
    """

    index: int
    settings: Mapping[str, Value]
    values: tuple[float, ...] = ()
    message: str = ""

    @property
    def state(self) -> str:
        """`finished` or `failed`."""
        return "finished" if self.values else "failed"

    @property
    def value(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        folder: Holds `trials.csv`, `importance.csv`, `best.yaml` and `summary.md`.
        metric: The validation metric that was optimised.
        reference: Its mean over seeds with the plan's own settings.
        trials: All trials, in order; at least one has finished.
        importance: Share of the metric's variance that each variable explains, in [0, 1].
    """

    folder: Path
    settings: SearchSettings
    seeds: Sequence[int]
    metric: str
    reference: float
    trials: Sequence[Trial]
    importance: Mapping[str, float]

    @property
    def best(self) -> Trial:
        """The best of the trials that finished, the first of equal ones."""
        sign = -1 if self.settings.direction == "maximize" else 1
        return min((t for t in self.trials if t.values), key=lambda t: (sign * t.value, t.index))

    @property
    def summary(self) -> str:
        """All this in words."""
        failed = [trial for trial in self.trials if not trial.values]
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.importance.items())
        lines = [
            f"# Search over {', '.join(self.settings.space)}",
            "",
            f"{len(self.trials) - len(failed)} of {self.settings.trials} trials finished. "
            f"{self.settings.direction.capitalize()}d: {self.metric} of the validation, "
            f"mean over {_in_words(self.seeds)}. No test result was read.",
            "",
            "| settings | value |",
            "| --- | --- |",
            f"| the plan's own | {self.reference:.4f} |",
            f"| trial {self.best.index + 1}: {_said(self.best)} | {self.best.value:.4f} |",
            "",
            f"Share of the variance explained (fANOVA): "
            f"{shares or 'too few trials differ to tell'}.",
            *(f"Trial {t.index + 1} ({_said(t)}) failed: {t.message}" for t in failed),
            "",
            "The best of many trials looks better than it is: report it on the test split with "
            "seeds that took no part here.",
            f"`eva fit --config {self.folder / 'best.yaml'}` runs it.",
            "",
        ]
        return "\n".join(lines)


def write_results(result: SearchResult, best: Job) -> None:
    """Writes what a search found; `best` is the best trial's run with the first seed."""
    folder, space = result.folder, list(result.settings.space)
    seeds = [f"seed_{seed}" for seed in result.seeds]
    trials = pd.DataFrame(
        [_row(trial, space, len(seeds)) for trial in result.trials],
        columns=["trial", *space, "state", "value", *seeds, "message"],
    )
    importance = pd.DataFrame(result.importance.items(), columns=["variable", "importance"])
    for name, text in (
        ("trials.csv", trials.to_csv(index=False)),
        ("importance.csv", importance.to_csv(index=False)),
        ("best.yaml", _config(result, best)),
        ("summary.md", result.summary),
    ):
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text)


def _said(trial: Trial) -> str:
    return " ".join(f"{name}={as_text(value)}" for name, value in trial.settings.items())


def _in_words(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _row(trial: Trial, space: Sequence[str], seeds: int) -> list[object]:
    own = [as_text(trial.settings[name]) for name in space]
    values = [trial.value, *trial.values] if trial.values else [""] * (seeds + 1)
    return [trial.index + 1, *own, trial.state, *values, trial.message]


def _config(result: SearchResult, job: Job) -> str:
    """Returns the config of the best settings, with which `eva fit` needs no variable."""
    header = (
        f"# Trial {result.best.index + 1} of a search: {_said(result.best)}\n"
        f"# {result.metric} {result.best.value:.4f}, the mean over {_in_words(result.seeds)}.\n"
        f"# EVA_GLOBAL_SEED={result.seeds[0]} repeats its first run; for others set N_RUNS and\n"
        "# VISION_HEAD_CHECKPOINT, too.\n"
    )
    environment = {**job.environment, "OUTPUT_ROOT": str(result.folder / _RERUN)}
    return header + configs.with_values(Path(job.command[-1]), environment)
