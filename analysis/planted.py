"""Planted truth: what remains of the gain when more and more pairs are replaced at random."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from . import arms, columns
from .cells import Cell
from .significance.crossed import CrossedTest


def planted_frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns the gain of CLIP-IT over its own no-text ablation, by share of replaced pairs.

    One row a cell and share, unrounded, with the crossed test of `headline_frame`; share 0 is the
    full method. No p-values: the shares ask one question, which their intervals answer. Cells
    without the ablation, or without runs on replaced pairs, have no rows.
    """
    rows = []
    for cell in cells:
        shares = {arm.replaced_share: arm.name for arm in cell.runs}
        shares.pop(None, None)
        if not cell.has(arms.NO_TEXT) or not any(shares):
            continue
        for share in sorted(share for share in shares if share is not None):
            test = columns.primary_test(cell, shares[share], arms.NO_TEXT)
            rows.append(
                {
                    **columns.where(cell),
                    "replaced_share": share,
                    "arm": shares[share],
                    **columns.size(cell),
                    **columns.arm_scores(cell, shares[share], "clip_it"),
                    **columns.arm_scores(cell, arms.NO_TEXT),
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
