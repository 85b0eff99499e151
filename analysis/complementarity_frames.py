"""Complementarity of the cells of a study: one row a comparison, unrounded."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import arms, columns
from .arms import Arm
from .cells import Cell
from .complementarity import complementarity_by_seed, complementarity_over_seeds


def complementarity_frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Counts what the text model has right and the vision model wrong, beside chance.

    Text seed s is paired with unimodal seed s. Rates over seeds are means; the crossed interval is
    of the rate (in percent of samples). Text-only runs of other pairs (such as a control's) have
    rows of their own: column `arm`.
    """
    rows = []
    for cell, arm in _text_arms(cells):
        text, vision = cell.predictions(arm.name), cell.predictions(arms.UNIMODAL)
        measures = _complementarity(cell.targets, text, vision, cell.clusters)
        where = {**columns.where(cell), "arm": arm.name, "label": arm.label}
        rows.append({**where, **columns.size(cell), **measures})
    return pd.DataFrame(rows)


def complementarity_by_class_frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Counts as `complementarity_frame`, in each true class alone: one row a class.

    Rates are in percent of the class's samples (`n_samples`), chance is independence within it.
    """
    rows = []
    for cell, arm in _text_arms(cells):
        text, vision = cell.predictions(arm.name), cell.predictions(arms.UNIMODAL)
        for label, name in enumerate(cell.samples.classes):
            of = cell.targets == label
            if not of.any():
                continue
            clusters = None if cell.clusters is None else cell.clusters[of]
            rows.append(
                {
                    **columns.where(cell),
                    "arm": arm.name,
                    "label": arm.label,
                    "class": name,
                    **columns.size(cell),
                    "n_samples": int(of.sum()),
                    "n_slides": None if clusters is None else len(np.unique(clusters)),
                    **_complementarity(cell.targets[of], text[:, of], vision[:, of], clusters),
                }
            )
    return pd.DataFrame(rows)


def _text_arms(cells: Sequence[Cell]) -> Iterator[tuple[Cell, Arm]]:
    """Yields each cell with unimodal runs and each of its text-only arms."""
    for cell in cells:
        if cell.has(arms.UNIMODAL):
            for arm in cell.runs:
                if arm.name.startswith(arms.TEXT_ONLY):
                    yield cell, arm


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
