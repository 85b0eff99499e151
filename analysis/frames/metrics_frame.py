"""What else the same predictions say: discrimination, calibration, and each class by itself.

Rows are arms and contrasts. Intervals are 95%, for new seeds and new samples (slides where they are
known) at once, as those of the primary test. Numbers are fractions, not percent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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


def metrics_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a comparison and arm or contrast.

    Returns:
        Columns `dataset`, `backbone`, `label` (the arm in print, or the contrast's name),
        `is_contrast`, `n_seeds`, `temperature` (of an arm, mean over seeds), and of each of
        `METRICS` its value, `_low`, `_high` and `_refused` (why there is no interval). The
        temperature is fitted on the validation samples: NaN where a run kept none.
    """
    rows = []
    for comparison, shown in _arms_once(comparisons):
        temperatures = {arm: _temperatures(comparison.runs[arm]) for arm in shown}
        found: dict[str, dict[str, Any]] = {}
        for metric in METRICS:
            scores = {arm: _scores(comparison, arm, metric, temperatures[arm]) for arm in shown}
            of_classes = comparison.targets if metric in OF_CLASSES else None
            for label, values, is_contrast in _sides(comparison, scores):
                row = found.setdefault(label, {"label": label, "is_contrast": is_contrast})
                row.update(_interval(metric, values, of_classes, comparison.clusters))
                row["n_seeds"] = len(values)
        for arm, fitted in temperatures.items():
            found[arm.label]["temperature"] = np.nan if fitted is None else np.mean(fitted)
        rows += [{**columns.where(comparison), **row} for row in found.values()]
    frame = pd.DataFrame(rows)
    known = [f"ece_scaled{end}" for end in ("", "_low", "_high", "_refused")]
    return frame.reindex(columns=list(dict.fromkeys([*frame.columns, *known])))


def metrics_by_class_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a comparison, arm or contrast, and class that the test set has.

    Returns:
        Columns as `metrics_frame`'s, of `CLASS_METRICS`, with `class` and `n_samples`.
    """
    rows = []
    for comparison, shown in _arms_once(comparisons):
        predictions = {arm: comparison.predictions(arm.name) for arm in shown}
        for number in np.unique(comparison.targets):
            true = comparison.targets == number
            found: dict[str, dict[str, Any]] = {}
            for metric, mine in zip(CLASS_METRICS, (true, ~true), strict=True):
                scores = {
                    arm: ((given[:, mine] == number) == (metric == "sensitivity")) * 1.0
                    for arm, given in predictions.items()
                }
                slides = None if comparison.clusters is None else comparison.clusters[mine]
                for label, values, is_contrast in _sides(comparison, scores):
                    row = found.setdefault(label, {"label": label, "is_contrast": is_contrast})
                    row.update(_interval(metric, values, None, slides))
            where = {
                **columns.where(comparison),
                "class": comparison.samples.classes[number],
                "n_samples": int(true.sum()),
            }
            rows += [{**where, **row} for row in found.values()]
    return pd.DataFrame(rows)


def _arms_once(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, list[Arm]]]:
    """Yields comparisons with their arms, a text-only one, which several share, in the first."""
    seen = set()
    for comparison in comparisons:
        yield comparison, [arm for arm, runs in comparison.runs.items() if runs[0].path not in seen]
        seen.update(run.path for run in comparison.all_runs)


def _temperatures(runs: Sequence[Run]) -> list[float] | None:
    """Returns the temperature of each run; None if one kept no validation predictions."""
    fitted = []
    for run in runs:
        validation = validation_of(run)
        if validation is None:
            return None
        own = validation.probabilities, validation.test_set.targets
        fitted.append(fit_temperature(*own))
    return fitted


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
        shared = comparison.between(*sides).replicates
        first, second = (_rows_of(*by_name[side], shared) for side in sides)
        if first is not None and second is not None:
            yield name, first - second, True


def _rows_of(runs: Sequence[Run], values: Values | None, shared: Sequence[Any]) -> Values | None:
    """Returns the values of some replicates, in their order."""
    places = {run.replicate: place for place, run in enumerate(runs)}
    return None if values is None else values[[places[one] for one in shared]]


def _interval(
    metric: str, values: Values, classes: NDArray[Any] | None, clusters: NDArray[Any] | None
) -> dict[str, Any]:
    """Returns a score with its interval, or with the reason why it has none."""
    test = crossed_mean(values, classes=classes, clusters=clusters)
    low, high = test.ci95_floor or (np.nan, np.nan)
    return {
        metric: test.estimate,
        f"{metric}_low": low,
        f"{metric}_high": high,
        f"{metric}_refused": test.refused or "",
        "mark": test.mark or "",
    }
