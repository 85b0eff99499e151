"""The gain of CLIP-IT over unimodal: in each comparison, averaged over backbones and datasets.

Each function takes comparisons of `reading.study.gather` and returns rows, unrounded.
Accuracies are in percent and differences in points, of balanced accuracy (the paper's metric)
unless a column's name says otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.crossed_backbones import BackbonesTest, crossed_test_over_backbones
from ..significance.datasets import Nemenyi, macro_difference, nemenyi_test
from . import columns

ALL_DATASETS = "all"
"""Name of the row that averages over datasets."""


def headline_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Compares CLIP-IT with unimodal in each comparison: the crossed test, Holm over the family.

    Comparisons with one of the two arms give its scores and no comparison.
    """
    rows, tests = [], []
    for comparison in comparisons:
        missing = [name for name in (arms.UNIMODAL, arms.CLIP_IT) if not comparison.has(name)]
        if len(missing) == 2:
            continue
        row = {**columns.where(comparison), **columns.size(comparison)}
        for name in (arms.UNIMODAL, arms.CLIP_IT):
            row.update(columns.arm_scores(comparison, name))
        test = None
        if missing:
            row.update(columns.untested(f"no runs of {arms.LABELS[missing[0]]}"))
        else:
            test = columns.primary_test(comparison, arms.CLIP_IT, arms.UNIMODAL)
            plain = columns.primary_test(comparison, arms.CLIP_IT, arms.UNIMODAL, balanced=False)
            row.update(columns.crossed(test), **columns.crossed(plain, "accuracy_"))
        rows.append(row)
        tests.append(test)
    return columns.adjusted(pd.DataFrame(rows), tests, "p_holm", "holm")


def mean_gain_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Averages the gain over backbones for each dataset, then over datasets.

    Backbones share a test set and are trained on their own: a dataset is tested once (see
    `significance.crossed_test_over_backbones`). Intervals only: the family of p-values is the one
    of `headline_frame`.
    """
    rows, tests = [], []
    for dataset, mine in _by_dataset(comparisons).items():
        test = crossed_test_over_backbones(
            [one.right(arms.CLIP_IT) for one in mine],
            [one.right(arms.UNIMODAL) for one in mine],
            classes=mine[0].targets,
            clusters=mine[0].clusters,
        )
        numbers = columns.crossed(test)
        where = {"dataset": dataset, "n_backbones": len(mine)}
        rows.append({**where, **columns.size(mine[0]), **numbers})
        tests.append(test)
    if len(rows) > 1:
        rows.append(_macro(rows, tests))
    return pd.DataFrame(rows).drop(columns="p", errors="ignore")


def rank_test(comparisons: Sequence[Comparison]) -> Nemenyi | None:
    """Ranks unimodal and CLIP-IT over datasets (means over backbones); None below two datasets."""
    names, means = (arms.UNIMODAL, arms.CLIP_IT), []
    for mine in _by_dataset(comparisons).values():
        scores = [[columns.arm_scores(one, name, "of") for name in names] for one in mine]
        percent = [[score["of_mean_percent"] for score in pair] for pair in scores]
        means.append(np.mean(np.array(percent, dtype=np.float64), axis=0))
    return nemenyi_test(means) if len(means) > 1 else None


def _by_dataset(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Returns the comparisons with both arms, by dataset."""
    found: dict[str, list[Comparison]] = {}
    for comparison in columns.paired(comparisons):
        found.setdefault(comparison.dataset, []).append(comparison)
    return found


def _macro(rows: Sequence[Mapping[str, Any]], tests: Sequence[BackbonesTest]) -> dict:
    """Returns the row that averages over datasets."""
    numbers = [(test.estimate, test.se_floor, test.df_floor) for test in tests]
    macro = macro_difference(*np.array(numbers, dtype=np.float64).T)
    return {
        "dataset": ALL_DATASETS,
        "n_backbones": None,
        "n_samples": sum(row["n_samples"] for row in rows),
        "n_slides": None,
        "n_seeds": rows[0]["n_seeds"],
        **columns.points(macro.estimate, macro.ci95),
        "wins": macro.wins,
        **columns.remarks(macro),
        "mark": next((row["mark"] for row in rows if row["mark"]), ""),
    }
