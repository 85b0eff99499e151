"""Columns that the rows of several tables share."""

from typing import Any

from ..metrics.scores import balanced_accuracy
from ..reading.study import Comparison
from ..significance.crossed import CrossedTest, crossed_test
from ..significance.paired_t import seed_summary
from ..significance.results import Result


def primary_test(comparison: Comparison, first: str, second: str) -> CrossedTest:
    """Runs the primary test of two arms of a comparison."""
    return crossed_test(
        comparison.right(first),
        comparison.right(second),
        classes=comparison.targets,
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
    column = column or name
    if not comparison.has(name):
        return {f"{column}_mean_percent": None, f"{column}_sd_points": None}
    scores = 100 * balanced_accuracy(comparison.predictions(name), comparison.targets)
    summary = seed_summary(scores)
    return {f"{column}_mean_percent": summary.mean, f"{column}_sd_points": summary.sd}


def crossed(test: CrossedTest, prefix: str = "") -> dict[str, Any]:
    """Returns what is printed of a crossed test, in points."""
    low, high = test.ci95_floor or (None, None)
    numbers = {
        "difference_points": 100 * test.estimate,
        "low_points": None if low is None else 100 * low,
        "high_points": None if high is None else 100 * high,
        "p": test.p_floor,
        "df": test.df,
        "wins": test.wins,
    }
    if prefix:
        return {f"{prefix}{name}": value for name, value in numbers.items()}
    return {**numbers, **remarks(test), "mark": test.mark or ""}


def untested(reason: str) -> dict[str, Any]:
    """Returns what is printed where there is no test."""
    names = ("difference_points", "low_points", "high_points", "p", "df", "wins")
    return {**dict.fromkeys(names), "refused": reason, "warnings": "", "mark": ""}


def remarks(result: Result) -> dict[str, str]:
    """Returns why a result is refused, and its warnings, as text."""
    return {"refused": result.refused or "", "warnings": "; ".join(result.warnings)}
