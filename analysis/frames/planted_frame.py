"""Planted truth: what remains of the gain when more and more pairs are replaced at random."""

from collections.abc import Sequence

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
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
            if not comparison.has(shares[share], arms.NO_TEXT):
                continue  # they share no seed
            both = comparison.between(shares[share], arms.NO_TEXT)
            test = columns.primary_test(both, shares[share], arms.NO_TEXT)
            ends = test.ci95_floor
            rows.append(
                {
                    **columns.where(comparison),
                    "replaced_share": share,
                    "arm": shares[share],
                    **columns.size(both),
                    **columns.arm_scores(both, shares[share], "clip_it"),
                    **columns.arm_scores(both, arms.NO_TEXT),
                    **columns.crossed(test),
                    "covers_zero": None if ends is None else ends[0] <= 0 <= ends[1],
                }
            )
    return pd.DataFrame(rows).drop(columns="p", errors="ignore")
