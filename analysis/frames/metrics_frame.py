"""What else the same predictions say: discrimination, calibration, and each class by itself.

Rows are arms and contrasts. Intervals are 95%, for new seeds and new samples (slides where they are
known) at once, as those of the primary test. Numbers are fractions, not percent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics import per_sample
from ..metrics.temperature import fit_temperature, scaled
from ..reading.arms import Arm
from ..reading.runs import Run, validation_of
from ..reading.study import Comparison
from ..significance.crossed import crossed_mean
from . import columns
from .contrasts_frame import SIDES

METRICS = ("auroc", "macro_f1", "brier", "ece", "ece_scaled")
"""Scores in `metrics_frame`; `ece_scaled` is the ECE after temperature scaling."""

CLASS_METRICS = ("sensitivity", "specificity")
"""Scores in `metrics_by_class_frame`."""

OF_CLASSES = ("auroc", "macro_f1")
"""Scores that are means over classes."""

Values = NDArray[np.float64]

Measured = tuple[str, Mapping[Arm, Values | None], NDArray[Any] | None, NDArray[Any] | None]
"""Name of a score, each arm's values [seeds, samples], and the samples' classes and slides."""


def metrics_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a comparison and arm or contrast.

    Returns:
        Columns `dataset`, `backbone`, `label` (the arm in print, or the contrast's name),
        `is_contrast`, `temperature` (of an arm, mean over seeds), and of each of `METRICS` its
        value, `_low`, `_high` and `_refused` (why there is no interval). The temperature is fitted
        on the validation samples: NaN where a run kept none.
    """
    rows = []
    for comparison, shown in _arms_once(comparisons):
        temperatures = {arm: _temperatures(comparison.runs[arm]) for arm in shown}
        measured = (
            (
                metric,
                {arm: _scores(comparison, arm, metric, temperatures[arm]) for arm in shown},
                comparison.targets if metric in OF_CLASSES else None,
                comparison.clusters,
            )
            for metric in METRICS
        )
        means = {arm.label: np.mean(of) for arm, of in temperatures.items() if of is not None}
        for row in _rows(comparison, measured):
            rows.append({**row, "temperature": means.get(row["label"], np.nan)})
    frame = pd.DataFrame(rows)
    known = [f"ece_scaled{end}" for end in ("", "_low", "_high", "_refused")]
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *known])))


def metrics_by_class_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a comparison, class that the test set has, and arm or contrast.

    Returns:
        Columns as `metrics_frame`'s, of `CLASS_METRICS`, with `class` and `n_samples`.
    """
    rows = []
    for comparison, shown in _arms_once(comparisons):
        given = {arm: comparison.predictions(arm.name) for arm in shown}
        for number in np.unique(comparison.targets):
            true = comparison.targets == number
            measured = (
                (
                    metric,
                    {arm: ((of[:, mine] == number) == wanted) * 1.0 for arm, of in given.items()},
                    None,
                    None if comparison.clusters is None else comparison.clusters[mine],
                )
                for metric, mine, wanted in zip(
                    CLASS_METRICS, (true, ~true), (True, False), strict=True
                )
            )
            size = {"class": comparison.samples.classes[number], "n_samples": int(true.sum())}
            rows += [{**row, **size} for row in _rows(comparison, measured)]
    return pd.DataFrame(rows)


def _rows(comparison: Comparison, measured: Iterable[Measured]) -> Iterable[dict[str, Any]]:
    """Returns a row an arm and contrast, with what was measured."""
    found: dict[str, dict[str, Any]] = {}
    for metric, scores, classes, clusters in measured:
        for label, values, is_contrast in _sides(comparison, scores):
            where = {**columns.where(comparison), "label": label, "is_contrast": is_contrast}
            test = crossed_mean(values, classes=classes, clusters=clusters)
            low, high = test.ci95_floor or (np.nan, np.nan)
            found.setdefault(label, where).update(
                {
                    metric: test.estimate,
                    f"{metric}_low": low,
                    f"{metric}_high": high,
                    f"{metric}_refused": test.refused or "",
                    "mark": test.mark or "",
                }
            )
    return found.values()


def _arms_once(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, list[Arm]]]:
    """Yields comparisons with their arms, a text-only one, which several share, in the first."""
    seen = set()
    for comparison in comparisons:
        yield comparison, [arm for arm, runs in comparison.runs.items() if runs[0].path not in seen]
        seen.update(run.path for run in comparison.all_runs)


def _temperatures(runs: Sequence[Run]) -> list[float] | None:
    """Returns the temperature of each run; None if one kept no validation predictions."""
    kept = [validation for run in runs if (validation := validation_of(run)) is not None]
    if len(kept) < len(runs):
        return None
    return [fit_temperature(one.probabilities, one.test_set.targets) for one in kept]


def _scores(
    comparison: Comparison, arm: Arm, metric: str, temperatures: Sequence[float] | None
) -> Values | None:
    """Returns an arm's values of a metric, [seeds, samples]; None without temperatures for it."""
    if metric == "macro_f1":
        return per_sample.macro_f1(comparison.predictions(arm.name), comparison.targets)
    probabilities = comparison.probabilities(arm.name)
    if metric == "ece_scaled":
        if temperatures is None:
            return None
        pairs = zip(probabilities, temperatures, strict=True)
        probabilities = np.stack([scaled(one, temperature) for one, temperature in pairs])
        metric = "ece"
    functions: Mapping[str, Callable[..., Values]] = {
        "auroc": per_sample.auroc, "brier": per_sample.brier, "ece": per_sample.ece,
    }  # fmt: skip
    return functions[metric](probabilities, comparison.targets)


def _sides(
    comparison: Comparison, scores: Mapping[Arm, Values | None]
) -> Iterator[tuple[str, Values, bool]]:
    """Yields each arm's values, then each contrast's differences on the seeds that both have."""
    for arm, values in scores.items():
        if values is not None:
            yield arm.label, values, False
    by_name = {arm.name: (comparison.runs[arm], values) for arm, values in scores.items()}
    for name, sides in SIDES.items():
        if not all(side in by_name for side in sides) or not comparison.has(*sides):
            continue
        shared = set(comparison.between(*sides).replicates)
        first, second = (
            None if values is None else values[[run.replicate in shared for run in runs]]
            for runs, values in (by_name[side] for side in sides)
        )
        if first is not None and second is not None:
            yield name, first - second, True
