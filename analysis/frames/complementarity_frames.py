"""Complementarity of text and vision: one row a comparison (or one of its classes), unrounded."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics.complementarity import complementarity_by_seed, complementarity_over_seeds
from ..reading import arms
from ..reading.arms import Arm
from ..reading.study import Comparison
from . import columns

MEANS = {
    "rescue_rate": "rescue_rate_percent",
    "mirror_rescue_rate": "mirror_rescue_rate_percent",
    "oracle_accuracy": "oracle_accuracy_percent",
    "oracle_gain_over_best": "oracle_gain_points",
    "observed_over_expected": "observed_over_expected",
    "mantel_haenszel_odds_ratio": "mantel_haenszel_odds_ratio",
    "mantel_haenszel_p": "mantel_haenszel_largest_p",
}
"""Measures of each seed that are averaged (of p-values the largest is taken), and their column."""


def complementarity_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Counts what the text model has right and the vision model wrong, beside chance.

    Text seed s is paired with unimodal seed s. Rates over seeds are means; the crossed interval is
    of the rate (in percent of samples). Text-only runs of other pairs (such as a control's) have
    rows of their own: column `arm`.
    """
    everything = slice(None)
    return pd.DataFrame([_row(*one, everything, {}) for one in _text_arms(comparisons)])


def complementarity_by_class_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Counts as `complementarity_frame`, in each true class alone: one row a class.

    Rates are in percent of the class's samples (`n_samples`), chance is independence within it.
    """
    rows = []
    for comparison, arm in _text_arms(comparisons):
        for label, name in enumerate(comparison.samples.classes):
            of = comparison.targets == label
            if of.any():
                rows.append(_row(comparison, arm, of, {"class": name}))
    return pd.DataFrame(rows)


def _text_arms(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, Arm]]:
    """Yields each text-only arm with unimodal runs, on the seeds that both have."""
    for comparison in comparisons:
        for arm in comparison.runs:
            both = (arm.name, arms.UNIMODAL)
            if arm.name.startswith(arms.TEXT_ONLY) and comparison.has(*both):
                yield comparison.between(*both), arm


def _row(
    comparison: Comparison, arm: Arm, of: NDArray[np.bool_] | slice, more: dict[str, str]
) -> dict[str, Any]:
    """Returns the measures of an arm over seeds, among some of the samples."""
    targets = comparison.targets[of]
    text = comparison.predictions(arm.name)[:, of]
    vision = comparison.predictions(arms.UNIMODAL)[:, of]
    clusters = None if comparison.clusters is None else comparison.clusters[of]
    seeds = complementarity_over_seeds(targets, text, vision, clusters)
    rate = columns.points(seeds.rate_crossed.estimate, seeds.rate_crossed.ci95_floor)
    return {
        **columns.where(comparison),
        "arm": arm.name,
        "label": arm.label,
        **more,
        **columns.size(comparison),
        "n_samples": len(targets),
        "n_slides": None if clusters is None else len(np.unique(clusters)),
        "count_mean": seeds.mean,
        "count_sd": seeds.sd_ddof1,
        "count_by_chance": seeds.expected_mean,
        "count_any_seed": seeds.text_only_right_any_seed,
        "count_all_seeds": seeds.text_only_right_all_seeds,
        "mirror_mean": seeds.mirror_mean,
        "mirror_sd": seeds.mirror_sd_ddof1,
        "mirror_by_chance": seeds.mirror_expected_mean,
        "rate_percent": rate["difference_points"],
        "rate_low_percent": rate["low_points"],
        "rate_high_percent": rate["high_points"],
        **_means(complementarity_by_seed(targets, text, vision)),
        "mark": seeds.rate_crossed.mark or "",
        **columns.remarks(seeds),
    }


def _means(each: Sequence[Any]) -> dict[str, float]:
    """Returns means over seeds of the measures that may be undefined for a seed."""
    means = {}
    for name, column in MEANS.items():
        values = np.array([getattr(one, name) for one in each], dtype=np.float64)
        defined = values[~np.isnan(values)]
        scale = 100 if column.endswith(("percent", "points")) else 1
        summarise = np.max if "largest" in column else np.mean
        means[column] = scale * float(summarise(defined)) if len(defined) else float("nan")
    return means
