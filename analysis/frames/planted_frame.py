"""Planted truth: what remains of the gain when more and more pairs are replaced at random."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading import arms
from ..reading.arms import Arm
from ..reading.study import Comparison
from ..significance.equivalence import tost_crossed
from . import columns
from .ablation_frame import MARGIN_POINTS


def planted_frame(
    comparisons: Sequence[Comparison], margin_points: float = MARGIN_POINTS
) -> pd.DataFrame:
    """Returns the gain of CLIP-IT over its own no-text ablation, by share of replaced pairs.

    Args:
        comparisons: Of `reading.study.gather`.
        margin_points: Largest gain that counts as none, in points; fixed before looking.

    Returns:
        One row a comparison, setting of CLIP-IT and share, unrounded, with the crossed test of
        `headline_frame`; share 0 is CLIP-IT in that `setting` (empty: the full method). `within`
        says whether the 90% interval lies within the margin (the equivalence test). The columns
        `over_replaced_*` are the gain over the same setting with all pairs replaced, missing in the
        row of that and without its runs. No p-values: the shares ask one question, which their
        intervals answer. Comparisons without the ablation, or without runs on replaced pairs, have
        no rows.
    """
    rows = [
        _row(comparison, setting, share, curve, margin_points)
        for comparison in comparisons
        for setting, curve in _curves(comparison).items()
        for share in sorted(curve)
    ]
    return pd.DataFrame(rows).drop(columns=["p", "over_replaced_p"], errors="ignore")


def _curves(comparison: Comparison) -> dict[str, dict[float, Arm]]:
    """Returns the arms of each setting by share; settings whose pairs are never replaced are out.

    Arms that share no seed with the ablation are left out.
    """
    found: dict[str, dict[float, Arm]] = {}
    for arm in comparison.runs:
        if arm.method == arms.CLIP_IT and comparison.has(arm.name, arm.without_text):
            setting, share = arm.setting_and_share
            found.setdefault(setting, {})[share] = arm
    return {setting: curve for setting, curve in found.items() if any(curve)}


def _row(
    comparison: Comparison, setting: str, share: float, curve: dict[float, Arm], margin: float
) -> dict[str, Any]:
    name, no_text = curve[share].name, curve[share].without_text
    both = comparison.between(name, no_text)
    test = columns.primary_test(both, name, no_text)
    ends = test.ci95_floor
    full = comparison.arm(setting)
    return {
        **columns.where(comparison),
        "setting": "" if setting == arms.CLIP_IT else setting if full is None else full.label,
        "replaced_share": share,
        "arm": name,
        **columns.size(both),
        **columns.arm_scores(both, name, "clip_it"),
        **columns.arm_scores(both, no_text, "no_text"),
        **columns.crossed(test),
        "covers_zero": None if ends is None else ends[0] <= 0 <= ends[1],
        "within": tost_crossed(test, margin / 100).ci_inside_margin,
        "margin_points": margin,
        **_over_replaced(comparison, name, curve[1.0].name if 1.0 in curve else None),
    }


def _over_replaced(comparison: Comparison, name: str, replaced: str | None) -> dict[str, Any]:
    """Returns the gain over the same setting with all pairs replaced."""
    prefix = "over_replaced_"
    if replaced is None or replaced == name or not comparison.has(name, replaced):
        return columns.untested("", prefix)
    return columns.crossed(columns.primary_test(comparison, name, replaced), prefix)
