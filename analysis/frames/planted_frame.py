"""Planted truth: what remains of the gain when more and more pairs are replaced at random."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.crossed import CrossedTest
from . import columns


def planted_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns the gain of CLIP-IT over its own no-text ablation, by share of replaced pairs.

    One row a comparison and share, unrounded, with the crossed test of `headline_frame`; share 0 is
    the full method. No p-values: the shares ask one question, which their intervals answer.
    Comparisons without the ablation, or without runs on replaced pairs, have no rows.
    """
    rows = []
    for comparison in comparisons:
        shares = {arm.replaced_share: arm.name for arm in comparison.runs}
        shares.pop(None, None)
        if not comparison.has(arms.NO_TEXT) or not any(shares):
            continue
        for share in sorted(share for share in shares if share is not None):
            test = columns.primary_test(comparison, shares[share], arms.NO_TEXT)
            rows.append(
                {
                    **columns.where(comparison),
                    "replaced_share": share,
                    "arm": shares[share],
                    **columns.size(comparison),
                    **columns.arm_scores(comparison, shares[share], "clip_it"),
                    **columns.arm_scores(comparison, arms.NO_TEXT),
                    **_without_p(columns.crossed(test)),
                    "covers_zero": _covers_zero(test),
                }
            )
    return pd.DataFrame(rows)


def _without_p(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if name != "p"}


def _covers_zero(test: CrossedTest) -> bool | None:
    """Returns whether the interval covers zero; None where there is none."""
    if test.ci95_floor is None:
        return None
    low, high = test.ci95_floor
    return low <= 0 <= high
