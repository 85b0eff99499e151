"""The table of ablations, with verdicts."""

from collections.abc import Sequence

import pandas as pd

from ..reading.arms import AUTHORS
from ..reading.study import Comparison
from . import layout, notes
from .layout import lay_out
from .table import Table

COLUMNS = (
    *layout.WHERE,
    layout.words("Variant", "label"),
    layout.scores("variant", "variant"),
    layout.scores("full CLIP-IT", "clip_it"),
    layout.differences(adjusted="p_bh"),
    layout.p_values("p", "p"),
    layout.p_values("BH p", "p_bh"),
    layout.words("wins", "wins"),
    layout.words("verdict", "verdict"),
    layout.published_column("variant (published)", "ablation"),
    layout.published_column("full (published)", "ablation", "clip_it"),
)


def ablations(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns each variant against full CLIP-IT, with a verdict."""
    margin = float(frame["margin_points"].iloc[0])
    before = (
        notes.METRIC + " Variant minus full CLIP-IT.",
        notes.CROSSED,
        notes.family(frame, "Benjamini-Hochberg"),
        f"Margin {margin:g} points. Verdict: equivalent if the 90% interval "
        "lies within the margin; else better or worse if the adjusted p is below 0.05; else "
        "inconclusive (which is no evidence of equality).",
        notes.STARRED,
    )
    ours = () if frame["arm"].str.startswith(AUTHORS).any() else (notes.OUR_RECIPE,)
    after = (notes.what_varied(comparisons), notes.PUBLISHED, *ours, *notes.warnings(frame))
    title = "Ablations of CLIP-IT"
    return lay_out("ablations", title, frame, COLUMNS, comparisons, before=before, after=after)
