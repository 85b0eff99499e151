"""Each variant of CLIP-IT against the full one of its recipe: variant minus full, a verdict."""

from collections.abc import Sequence

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from ..significance.equivalence import Verdict, verdict
from . import columns

MARGIN_POINTS = 0.5
"""Default equivalence margin, in points of balanced accuracy.

Half a point is below the smallest mean gain that the paper claims (0.65, on CRC) and above what
three decimals of an accuracy can mean; it is fixed here before any result is seen. Another margin
must be chosen before looking, too.
"""


def ablation_frame(
    comparisons: Sequence[Comparison], margin_points: float = MARGIN_POINTS
) -> pd.DataFrame:
    """Compares each variant of CLIP-IT with full CLIP-IT: verdicts, Benjamini-Hochberg.

    The margin is the largest difference that counts as none, in points; fixed before looking. An
    interval that is patch-level and optimistic decides nothing.

    Raises:
        InputError: A margin not above 0.
    """
    rows, tests = [], []
    for comparison in comparisons:
        for arm in comparison.runs:
            full = arm.method
            if full not in arms.RECIPES or arm.name == full:
                continue
            if not comparison.has(arm.name, full):
                continue  # or they share no seed
            both = comparison.between(arm.name, full)
            test = columns.primary_test(both, arm.name, full)
            rows.append(
                {
                    **columns.where(comparison),
                    **columns.size(both),
                    "arm": arm.name,
                    "label": arm.label,
                    "published_arm": _published_arm(arm, comparison),
                    **columns.arm_scores(both, arm.name, "variant"),
                    **columns.arm_scores(both, full, arms.CLIP_IT),
                    **columns.crossed(test),
                }
            )
            tests.append(test)
    frame = columns.adjusted(pd.DataFrame(rows), tests, "p_bh", "fdr_bh")
    if not len(frame):
        return frame
    verdicts = [
        Verdict("inconclusive", test.mark)
        if test.mark
        else verdict(test, margin_points / 100, None if pd.isna(p) else float(p))
        for test, p in zip(tests, frame["p_bh"], strict=True)
    ]
    return frame.assign(
        margin_points=margin_points,
        verdict=[outcome.label for outcome in verdicts],
        reason=[outcome.reason for outcome in verdicts],
    )


def _published_arm(arm: arms.Arm, comparison: Comparison) -> str:
    """Returns the arm whose published numbers stand beside an arm; empty if none shall.

    They are of the authors' recipe: none stand beside this package's where there are runs of it.
    """
    if arm.method == arms.AUTHORS:
        # The paper's "no LoRA" freezes both encoders.
        own = arm.name.removeprefix(f"{arms.AUTHORS}+")
        return own.replace("no_text_lora+no_lora", "no_lora")
    return "" if comparison.arm(arms.AUTHORS) else arm.name
