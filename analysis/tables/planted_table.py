"""The table of planted truth: gain over the no-text ablation by share of replaced pairs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading.study import Comparison
from . import layout, notes
from .layout import Column, lay_out
from .table import NONE, Table, difference_of, records

COVERS = {None: NONE, True: "yes", False: "no"}
"""Whether an interval covers zero, in print."""

COLUMNS = (
    *layout.WHERE,
    Column("pairs replaced %", lambda row, _: f"{100 * row['replaced_share']:g}", "replaced_share"),
    layout.scores("CLIP-IT", "clip_it"),
    layout.scores("no text", "no_text"),
    layout.differences(),
    layout.words("wins", "wins"),
    Column("interval covers 0", lambda row, _: COVERS[row["covers_zero"]]),
)


def planted(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns what remains of the gain when pairs are replaced at random."""
    before = (
        notes.METRIC + " CLIP-IT minus its own no-text ablation (same layers, no report read).",
        "If the gain comes from the pairs, it shrinks as they are replaced, and the interval at "
        "100% covers 0.",
        *sentences(frame),
        notes.CROSSED.replace(" and p-values", ""),
    )
    after = (notes.what_varied(comparisons), *notes.warnings(frame))
    title = "Gain over the no-text ablation by share of replaced pairs"
    return lay_out("replaced_pairs", title, frame, COLUMNS, comparisons, before=before, after=after)


def sentences(frame: pd.DataFrame) -> tuple[str, ...]:
    """Says of each dataset and backbone whether the gain is gone when all pairs are replaced."""
    return tuple(_sentence(row) for row in records(frame) if row["replaced_share"] == 1)


def _sentence(row: dict[str, Any]) -> str:
    """Returns the sentence on one comparison at share 1."""
    words = (
        f"{row['backbone']} on {row['dataset']}: with all pairs replaced at random, the gain over "
        f"the no-text ablation is {difference_of(row)} points"
    )
    if row["refused"]:
        return f"{words}; not tested ({row['refused']})."
    if row["covers_zero"]:
        return f"{words}; the interval covers zero."
    return f"{words}; the interval does not cover zero: not all of the gain comes from the pairs."
