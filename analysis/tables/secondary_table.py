"""The table of secondary tests."""

from collections.abc import Sequence

import pandas as pd

from ..reading.study import Comparison
from ..significance.bootstrap import N_RESAMPLES
from . import layout
from .layout import Column, Row, lay_out
from .table import DAGGER, NONE, Footnotes, Table, difference


def secondary(
    frame: pd.DataFrame, comparisons: Sequence[Comparison], n_resamples: int = N_RESAMPLES
) -> Table:
    """Returns the secondary tests, with the reasons where one is refused.

    The footer names `n_resamples`, the resamples of each bootstrap.
    """
    before = (
        "Secondary: p-values are not adjusted and decide nothing. McNemar and DeLong test each "
        "seed's pair of models on the same samples; their p-values are a range and never combined.",
        f"{n_resamples:,} bootstrap resamples.",
    )
    columns = (
        *layout.WHERE,
        layout.words("Test", "test"),
        layout.words("speaks of", "answers"),
        Column("difference [95% CI]", _estimate, "estimate_points"),
        Column("p", _p),
    )
    title = "Secondary tests of the gain"
    return lay_out("secondary", title, frame, columns, comparisons, before=before)


def _estimate(row: Row, _: Footnotes) -> str:
    """Returns an estimate, with the dagger where its interval is optimistic."""
    numbers = (row["estimate_points"], row["low_points"], row["high_points"])
    dagger = DAGGER if row["mark"] and not row["refused"] else ""
    return (row["estimate_text"] or difference(*numbers)) + dagger


def _p(row: Row, footnotes: Footnotes) -> str:
    """Returns a p-value, or that it is refused."""
    return f"refused {footnotes.mark(row['refused'])}" if row["refused"] else row["p"] or NONE
