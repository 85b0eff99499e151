"""Columns that the rows of several tables share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..metrics.scores import balanced_accuracy
from ..reading import arms
from ..reading.study import Comparison
from ..significance.crossed import CrossedTest, crossed_test
from ..significance.crossed_backbones import BackbonesTest
from ..significance.multiplicity import Method, adjust
from ..significance.paired_t import seed_summary
from ..significance.results import Result


def paired(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Returns unimodal and CLIP-IT of the comparisons with both, on the seeds that both have."""
    both = (arms.UNIMODAL, arms.CLIP_IT)
    return [one.between(*both) for one in comparisons if one.has(*both)]


def primary_test(
    comparison: Comparison, first: str, second: str, balanced: bool = True
) -> CrossedTest:
    """Runs the primary test of two arms, on the seeds that both have.

    It is of balanced accuracy, or of accuracy.
    """
    both = comparison.between(first, second)
    return crossed_test(
        both.right(first),
        both.right(second),
        classes=comparison.targets if balanced else None,
        clusters=comparison.clusters,
    )


def where(comparison: Comparison) -> dict[str, str]:
    """Returns which comparison a row is of."""
    return {"dataset": comparison.dataset, "backbone": comparison.backbone}


def size(comparison: Comparison) -> dict[str, Any]:
    """Returns what a footer says about a comparison."""
    return {
        "n_samples": len(comparison.samples),
        "n_slides": comparison.n_slides,
        "n_seeds": len(comparison.replicates),
    }


def arm_scores(
    comparison: Comparison, name: str, column: str | None = None
) -> dict[str, float | None]:
    """Returns an arm's mean and SD over seeds, in percent; None where there is no such arm."""
    mean = sd = None
    if comparison.has(name):
        scores = 100 * balanced_accuracy(comparison.predictions(name), comparison.targets)
        summary = seed_summary(scores)
        mean, sd = summary.mean, summary.sd
    return {f"{column or name}_mean_percent": mean, f"{column or name}_sd_points": sd}


def crossed(test: CrossedTest | BackbonesTest, prefix: str = "") -> dict[str, Any]:
    """Returns what is printed of a crossed test, in points."""
    numbers = {
        **points(test.estimate, test.ci95_floor),
        "p": test.p_floor,
        "df": test.df_floor,
        "wins": test.wins,
    }
    if prefix:
        return {f"{prefix}{name}": value for name, value in numbers.items()}
    return {**numbers, **remarks(test), "mark": test.mark or ""}


def points(estimate: float | None, interval: tuple[float, float] | None) -> dict[str, Any]:
    """Returns a difference and its interval in points; None where there is none."""
    names = ("difference_points", "low_points", "high_points")
    values = (estimate, *(interval or (None, None)))
    scaled = (None if value is None else 100 * value for value in values)
    return dict(zip(names, scaled, strict=True))


def untested(reason: str, prefix: str = "") -> dict[str, Any]:
    """Returns what is printed where there is no test."""
    numbers = {**points(None, None), **dict.fromkeys(("p", "df", "wins"))}
    if prefix:
        return {f"{prefix}{name}": value for name, value in numbers.items()}
    return {**numbers, "refused": reason, "warnings": "", "mark": ""}


def remarks(result: Result) -> dict[str, str]:
    """Returns why a result is refused, and its warnings, as text."""
    return {"refused": result.refused or "", "warnings": "; ".join(result.warnings)}


def adjusted(
    frame: pd.DataFrame, tests: Sequence[CrossedTest | None], column: str, method: Method
) -> pd.DataFrame:
    """Adds the p-values adjusted for the family, and its size."""
    if not len(frame):
        return frame
    family = adjust([None if test is None else test.p_floor for test in tests], method)
    p = np.array(family.adjusted, dtype=np.float64)
    return frame.assign(**{column: p, "family_size": family.size})
