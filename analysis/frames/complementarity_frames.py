"""Complementarity of the comparisons of a study: one row a comparison, unrounded."""

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


def complementarity_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Counts what the text model has right and the vision model wrong, beside chance.

    Text seed s is paired with unimodal seed s. Rates over seeds are means; the crossed interval is
    of the rate (in percent of samples). Text-only runs of other pairs (such as a control's) have
    rows of their own: column `arm`.
    """
    rows = []
    for comparison, arm in _text_arms(comparisons):
        text, vision = comparison.predictions(arm.name), comparison.predictions(arms.UNIMODAL)
        measures = _complementarity(comparison.targets, text, vision, comparison.clusters)
        where = {**columns.where(comparison), "arm": arm.name, "label": arm.label}
        rows.append({**where, **columns.size(comparison), **measures})
    return pd.DataFrame(rows)


def complementarity_by_class_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Counts as `complementarity_frame`, in each true class alone: one row a class.

    Rates are in percent of the class's samples (`n_samples`), chance is independence within it.
    """
    rows = []
    for comparison, arm in _text_arms(comparisons):
        text, vision = comparison.predictions(arm.name), comparison.predictions(arms.UNIMODAL)
        for label, name in enumerate(comparison.samples.classes):
            of = comparison.targets == label
            if not of.any():
                continue
            clusters = None if comparison.clusters is None else comparison.clusters[of]
            rows.append(
                {
                    **columns.where(comparison),
                    "arm": arm.name,
                    "label": arm.label,
                    "class": name,
                    **columns.size(comparison),
                    "n_samples": int(of.sum()),
                    "n_slides": None if clusters is None else len(np.unique(clusters)),
                    **_complementarity(
                        comparison.targets[of], text[:, of], vision[:, of], clusters
                    ),
                }
            )
    return pd.DataFrame(rows)


def _text_arms(comparisons: Sequence[Comparison]) -> Iterator[tuple[Comparison, Arm]]:
    """Yields each comparison with unimodal runs and each of its text-only arms."""
    for comparison in comparisons:
        if comparison.has(arms.UNIMODAL):
            for arm in comparison.runs:
                if arm.name.startswith(arms.TEXT_ONLY):
                    yield comparison, arm


def _complementarity(
    targets: NDArray[np.int16],
    text: NDArray[np.int16],
    vision: NDArray[np.int16],
    clusters: NDArray[np.int64] | None,
) -> dict[str, Any]:
    """Returns the measures of complementarity over seeds, as they are printed."""
    seeds = complementarity_over_seeds(targets, text, vision, clusters)
    mirror = complementarity_over_seeds(targets, vision, text, clusters)
    rate = columns.crossed(seeds.rate_crossed, "rate_")
    return {
        "count_mean": seeds.mean,
        "count_sd": seeds.sd_ddof1,
        "count_by_chance": seeds.expected_mean,
        "count_any_seed": seeds.text_only_right_any_seed,
        "count_all_seeds": seeds.text_only_right_all_seeds,
        "mirror_mean": seeds.mirror_mean,
        "mirror_sd": seeds.mirror_sd_ddof1,
        "mirror_by_chance": mirror.expected_mean,
        "rate_percent": rate["rate_difference_points"],
        "rate_low_percent": rate["rate_low_points"],
        "rate_high_percent": rate["rate_high_points"],
        **_means(complementarity_by_seed(targets, text, vision)),
        "mark": seeds.rate_crossed.mark or "",
        **columns.remarks(seeds),
    }


def _means(each: Sequence[Any]) -> dict[str, float]:
    """Returns means over seeds of the measures that may be undefined for a seed."""
    names = {
        "rescue_rate": "rescue_rate_percent",
        "mirror_rescue_rate": "mirror_rescue_rate_percent",
        "oracle_accuracy": "oracle_accuracy_percent",
        "oracle_gain_over_best": "oracle_gain_points",
        "observed_over_expected": "observed_over_expected",
        "mantel_haenszel_odds_ratio": "mantel_haenszel_odds_ratio",
        "mantel_haenszel_p": "mantel_haenszel_largest_p",
    }
    means = {}
    for name, column in names.items():
        values = np.array([getattr(one, name) for one in each], dtype=np.float64)
        defined = values[~np.isnan(values)]
        scale = 100 if column.endswith(("percent", "points")) else 1
        summarise = np.max if "largest" in column else np.mean
        means[column] = scale * float(summarise(defined)) if len(defined) else float("nan")
    return means
