"""Unimodal and CLIP-IT in each comparison, as the paper's Table 1 has them.

Accuracies are in percent and differences in points, of balanced accuracy (the paper's metric)
unless a column's name says otherwise.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.datasets import Nemenyi, nemenyi_test
from ..significance.rules import WARN_SEEDS
from . import columns


def headline_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Compares CLIP-IT with unimodal in each comparison by the crossed test, to describe.

    Comparisons with one of the two arms give its scores and no comparison. `p_holm` is over the
    comparisons with 5 seeds, as in `contrasts_frame`: others have none. Scores of CLIP-IT by the
    authors' recipe are added where there are runs of it.
    """
    rows, tests = [], []
    for comparison in comparisons:
        missing = [name for name in (arms.UNIMODAL, arms.CLIP_IT) if not comparison.has(name)]
        if len(missing) == 2:
            continue
        both = (arms.UNIMODAL, arms.CLIP_IT)
        shown = comparison if not comparison.has(*both) else comparison.between(*both)
        row = {**columns.where(shown), **columns.size(shown)}
        for name in both:
            row.update(columns.arm_scores(shown, name))
        if comparison.has(arms.AUTHORS):
            row.update(columns.arm_scores(comparison, arms.AUTHORS))
        test = None
        if missing:
            row.update(columns.untested(f"no runs of {arms.LABELS[missing[0]]}"))
        elif not comparison.has(*both):
            row.update(columns.untested("no seed that both arms have"))
        else:
            test = columns.primary_test(shown, arms.CLIP_IT, arms.UNIMODAL)
            plain = columns.primary_test(shown, arms.CLIP_IT, arms.UNIMODAL, balanced=False)
            row.update(columns.crossed(test), **columns.crossed(plain, "accuracy_"))
        rows.append(row)
        tests.append(test if len(shown.replicates) >= WARN_SEEDS else None)
    return columns.adjusted(pd.DataFrame(rows), tests, "p_holm", "holm")


def rank_test(comparisons: Sequence[Comparison]) -> Nemenyi | None:
    """Ranks unimodal and CLIP-IT over datasets (means over backbones); None below two datasets.

    Several numbers of labels of one test set are no further datasets: None.
    """
    names, means = (arms.UNIMODAL, arms.CLIP_IT), []
    by_dataset = _by_dataset(comparisons)
    if len({mine[0].task for mine in by_dataset.values()}) < len(by_dataset):
        return None
    for mine in by_dataset.values():
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
