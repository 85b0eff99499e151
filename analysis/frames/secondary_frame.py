"""The secondary tests of each headline comparison: what other questions the same runs answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.all_tests import compare
from ..significance.auc import auc_cluster_bootstrap
from ..significance.bootstrap import N_RESAMPLES
from ..significance.delong import delong_test
from ..significance.results import Result
from . import columns


def secondary_frame(
    comparisons: Sequence[Comparison], n_resamples: int = N_RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Runs all secondary tests of CLIP-IT against unimodal, one row a comparison and test.

    Returns:
        Columns `dataset`, `backbone`, `test`, `answers` (the question), `estimate_points`,
        `low_points`, `high_points`, `p` (text: a range over seeds where seeds are not combined),
        `mark`, `refused`, `warnings`. p-values are not adjusted: these tests are secondary.
    """
    rows = []
    for comparison in columns.paired(comparisons):
        options = {"n_resamples": n_resamples, "seed": seed}
        tests = (*_compared(comparison, options), *_auc(comparison, options))
        rows.extend({**columns.where(comparison), **row} for row in tests)
    return pd.DataFrame(rows)


def _compared(comparison: Comparison, options: Mapping[str, int]) -> list[dict[str, Any]]:
    """Returns the rows of `significance.compare`, given the bootstraps' options."""
    one, two = comparison.right(arms.CLIP_IT), comparison.right(arms.UNIMODAL)
    result = compare(one, two, comparison.targets, comparison.clusters, **options)
    unit = "samples" if comparison.clusters is None else "slides"
    models, seeds = f"these models, new {unit}", "new seeds, this test set"
    bootstrap, both = f"bootstrap of {unit}, balanced accuracy", "new seeds and samples"
    rows = [
        _row("crossed, accuracy", both, result.accuracy, "ci95_floor", "p_floor"),
        _row("samples only", models, result.samples_only, "ci95", "p"),
        _row("paired t over seeds", seeds, result.seeds_only, "ci95", "p"),
        _row("signed rank over seeds", seeds, result.signed_rank, p="p"),
        _row(bootstrap, models, result.bootstrap, "percentile_ci95"),
    ]
    if result.clustered is not None:
        rows.append(_row("slide-clustered OLS", models, result.clustered, "ci95", "p"))
    g = result.seeds_only.hedges_g_z
    effect = _row("effect size over seeds (Hedges g_z)", "seeds", result.seeds_only)
    effect.update(estimate_points=None, estimate_text="" if g is None else f"{g:.2f}")
    mcnemar = _row("McNemar mid-p, each seed", "each pair of models", result.mcnemar)
    mcnemar["p"] = "{:.2g} to {:.2g}".format(*result.mcnemar.midp_range)
    wins = _row("P(CLIP-IT above)", "seeds, descriptive", result.outperforming)
    low, high = result.outperforming.paired_ci95
    wins["estimate_text"] = f"{result.outperforming.paired:.2f} [{low:.2f}, {high:.2f}]"
    return [*rows, effect, mcnemar, wins]


def _auc(comparison: Comparison, options: Mapping[str, int]) -> list[dict[str, Any]]:
    """Returns the row of the AUC difference, of binary tasks."""
    one, two = comparison.probabilities(arms.CLIP_IT), comparison.probabilities(arms.UNIMODAL)
    targets, clusters = comparison.targets, comparison.clusters
    if one.shape[2] != 2 or len(np.unique(targets)) != 2:
        return []
    if np.bincount(targets).min() < 2:
        why = Result(refused="AUC: a class has only one test sample")
        return [_row("AUC", "these models, new samples", why)]
    first, second = one[:, :, 1], two[:, :, 1]
    if clusters is not None:
        result = auc_cluster_bootstrap(targets, first, second, clusters, **options)
        question = "these models, new slides"
        return [_row("AUC, bootstrap of slides", question, result, "percentile_ci95")]
    each = [delong_test(targets, a, b) for a, b in zip(first, second, strict=True)]
    row = _row("AUC, DeLong, each seed", "each pair of models", each[0])
    row["estimate_points"] = 100 * float(np.mean([test.estimate for test in each]))
    found = [test.p for test in each if test.p is not None]
    row["p"] = f"{min(found):.2g} to {max(found):.2g}" if found else ""
    return [row]


def _row(
    test: str, answers: str, result: Any, interval: str | None = None, p: str | None = None
) -> dict[str, Any]:
    """Returns one test's row; fields that a result does not have stay empty."""
    estimate = getattr(result, "estimate", getattr(result, "mean_diff", None))
    numbers = columns.points(estimate, None if interval is None else getattr(result, interval))
    value = None if p is None else getattr(result, p)
    return {
        "test": test,
        "answers": answers,
        "estimate_points": numbers["difference_points"],
        "estimate_text": "",
        "low_points": numbers["low_points"],
        "high_points": numbers["high_points"],
        "p": "" if value is None else f"{value:.2g}",
        "mark": getattr(result, "mark", None) or "",
        **columns.remarks(result),
    }
