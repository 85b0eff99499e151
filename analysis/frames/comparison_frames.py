"""The numbers of every table, computed from comparisons; formatting them is another file's work.

Each function takes comparisons of `reading.study.gather` and returns rows, unrounded.
Accuracies are in percent and differences in points, of balanced accuracy (the paper's metric)
unless a column's name says otherwise; first minus second is CLIP-IT minus unimodal, and variant
minus full CLIP-IT.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..metrics.scores import accuracy, balanced_accuracy, calibration
from ..reading import arms, published
from ..reading.study import Comparison
from ..significance.crossed import CrossedTest, crossed_mean, crossed_test
from ..significance.datasets import Nemenyi, macro_difference, nemenyi_test
from ..significance.equivalence import verdict
from ..significance.multiplicity import adjust
from . import columns

MARGIN_POINTS = 0.5
"""Default equivalence margin, in points of balanced accuracy.

Half a point is below the smallest mean gain that the paper claims (0.65, on CRC) and above what
three decimals of an accuracy can mean; it is fixed here before any result is seen. Another margin
must be chosen before looking, too.
"""

ALL_DATASETS = "all"
"""Name of the row that averages over datasets."""


def scores_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns every run with its scores and where they come from, one row a run."""
    rows, seen = [], set()
    for comparison in comparisons:
        for arm, runs in comparison.runs.items():
            if runs[0].path in seen:
                continue  # a text-only run serves all backbones of its dataset
            seen.update(run.path for run in runs)
            predictions = comparison.predictions(arm.name)
            plain = 100 * accuracy(predictions, comparison.targets)
            balanced = 100 * balanced_accuracy(predictions, comparison.targets)
            for place, run in enumerate(runs):
                rows.append(
                    {
                        "dataset": comparison.dataset,
                        "backbone": published.backbone_name(runs[0].backbone),
                        "arm": arm.name,
                        "label": arm.label,
                        "replicate": comparison.seed_names[place],
                        "balanced_accuracy_percent": balanced[place],
                        "accuracy_percent": plain[place],
                        "ece": calibration(run.probabilities, comparison.targets).ece,
                        "config_digest": run.config_digest,
                        "checkpoint": str(run.provenance.get("checkpoint") or "")[:12],
                        "run": str(run.path.parent),
                    }
                )
    return pd.DataFrame(rows)


def headline_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Compares CLIP-IT with unimodal in each comparison: the crossed test, Holm over the family.

    Comparisons with one of the two arms give its scores and no comparison.
    """
    rows, tests = [], []
    for comparison in comparisons:
        if not (comparison.has(arms.UNIMODAL) or comparison.has(arms.CLIP_IT)):
            continue
        row = {**columns.where(comparison), **columns.size(comparison)}
        for name in (arms.UNIMODAL, arms.CLIP_IT):
            row.update(columns.arm_scores(comparison, name))
        test = None
        if comparison.has(arms.UNIMODAL, arms.CLIP_IT):
            test = columns.primary_test(comparison, arms.CLIP_IT, arms.UNIMODAL)
            plain = crossed_test(
                comparison.right(arms.CLIP_IT),
                comparison.right(arms.UNIMODAL),
                clusters=comparison.clusters,
            )
            row.update(columns.crossed(test), **columns.crossed(plain, "accuracy_"))
        else:
            missing = arms.CLIP_IT if comparison.has(arms.UNIMODAL) else arms.UNIMODAL
            row.update(columns.untested(f"no runs of {arms.LABELS[missing]}"))
        rows.append(row)
        tests.append(test)
    frame = pd.DataFrame(rows)
    return _adjusted(frame, tests, "p_holm", "holm")


def mean_gain_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Averages the gain over backbones for each dataset, then over datasets.

    Backbones share a test set: their per-sample differences are averaged first, and the dataset is
    tested once (see `significance.datasets.macro_difference`). Intervals only: the family of
    p-values is the one of `headline_frame`.
    """
    paired = [
        comparison for comparison in comparisons if comparison.has(arms.UNIMODAL, arms.CLIP_IT)
    ]
    rows, tests = [], []
    for dataset in dict.fromkeys(comparison.dataset for comparison in paired):
        mine = [comparison for comparison in paired if comparison.dataset == dataset]
        row: dict[str, Any] = {
            "dataset": dataset,
            "n_backbones": len(mine),
            **columns.size(mine[0]),
        }
        if len({comparison.replicates for comparison in mine}) > 1:
            row.update(columns.untested("backbones have different seeds"))
            tests.append(None)
        else:
            gains = [
                comparison.right(arms.CLIP_IT) - comparison.right(arms.UNIMODAL)
                for comparison in mine
            ]
            test = crossed_mean(
                np.mean(gains, axis=0), classes=mine[0].targets, clusters=mine[0].clusters
            )
            row.update(columns.crossed(test))
            tests.append(test)
        rows.append(row)
    if len(rows) > 1:
        rows.append(_macro(rows, tests))
    return pd.DataFrame(rows).drop(columns="p", errors="ignore")


def rank_test(headline: pd.DataFrame) -> Nemenyi | None:
    """Ranks unimodal and CLIP-IT over datasets (means over backbones); None below two datasets.

    Args:
        headline: Of `headline_frame`.
    """
    columns = ["unimodal_mean_percent", "clip_it_mean_percent"]
    both = headline.dropna(subset=columns)
    datasets = dict.fromkeys(both["dataset"])
    means = [both.loc[both["dataset"] == name, columns].mean().tolist() for name in datasets]
    return nemenyi_test(means) if len(means) > 1 else None


def ablation_frame(
    comparisons: Sequence[Comparison], margin_points: float = MARGIN_POINTS
) -> pd.DataFrame:
    """Compares each variant of CLIP-IT with full CLIP-IT: verdicts, Benjamini-Hochberg.

    Args:
        comparisons: The comparisons.
        margin_points: Largest difference that counts as none, in points; fixed before looking.

    Raises:
        InputError: A margin not above 0.
    """
    rows, tests = [], []
    for comparison in comparisons:
        if not comparison.has(arms.CLIP_IT):
            continue
        for arm in comparison.runs:
            if arm.method != arms.CLIP_IT or arm.name == arms.CLIP_IT:
                continue
            test = columns.primary_test(comparison, arm.name, arms.CLIP_IT)
            rows.append(
                {
                    **columns.where(comparison),
                    **columns.size(comparison),
                    "arm": arm.name,
                    "label": arm.label,
                    **columns.arm_scores(comparison, arm.name, "variant"),
                    **columns.arm_scores(comparison, arms.CLIP_IT),
                    **columns.crossed(test),
                }
            )
            tests.append(test)
    frame = _adjusted(pd.DataFrame(rows), tests, "p_bh", "fdr_bh")
    if not len(frame):
        return frame
    adjusted = [None if np.isnan(p) else float(p) for p in frame["p_bh"]]
    verdicts = [
        verdict(test, margin_points / 100, p) for test, p in zip(tests, adjusted, strict=True)
    ]
    return frame.assign(
        margin_points=margin_points,
        verdict=[outcome.label for outcome in verdicts],
        reason=[outcome.reason for outcome in verdicts],
    )


def _adjusted(
    frame: pd.DataFrame, tests: Sequence[CrossedTest | None], column: str, method: Any
) -> pd.DataFrame:
    """Adds the p-values adjusted for the family, and its size."""
    if not len(frame):
        return frame
    family = adjust([None if test is None else test.p_floor for test in tests], method)
    adjusted: NDArray[np.float64] = np.array(family.adjusted, dtype=np.float64)
    return frame.assign(**{column: adjusted, "family_size": family.size})


def _macro(rows: Sequence[Mapping[str, Any]], tests: Sequence[CrossedTest | None]) -> dict:
    """Returns the row that averages over datasets."""
    estimates = [np.nan if test is None else test.estimate for test in tests]
    errors = [np.nan if test is None or test.se_floor is None else test.se_floor for test in tests]
    macro = macro_difference(estimates, errors)
    low, high = macro.ci95 or (None, None)
    return {
        "dataset": ALL_DATASETS,
        "n_backbones": None,
        "n_samples": sum(row["n_samples"] for row in rows),
        "n_slides": None,
        "n_seeds": rows[0]["n_seeds"],
        "difference_points": None if macro.estimate is None else 100 * macro.estimate,
        "low_points": None if low is None else 100 * low,
        "high_points": None if high is None else 100 * high,
        "wins": macro.wins,
        **columns.remarks(macro),
        "mark": next((row.get("mark", "") for row in rows if row.get("mark")), ""),
    }


def paper_mean_gains(dataset: str) -> dict[str, float]:
    """Returns the published mean gains of a dataset over six backbones, by short source."""
    if dataset not in published.CLAIMED_MEAN_GAINS:
        return {}
    return {
        published.SHORT_SOURCES[source]: published.mean_gain(dataset, source)
        for source in (published.V1_TABLE, published.REPOSITORY)
    }
