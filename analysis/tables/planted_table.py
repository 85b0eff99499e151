"""The table of planted truth: gain over the no-text ablation by share of replaced pairs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading.study import Comparison
from . import layout, notes
from .layout import Column, lay_out
from .table import NONE, Table, difference_of, records

YES_OR_NO = {None: NONE, True: "yes", False: "no"}

COLUMNS = (
    *layout.WHERE,
    Column("Setting", lambda row, _: row["setting"] or "CLIP-IT"),
    Column("pairs replaced %", lambda row, _: f"{100 * row['replaced_share']:g}", "replaced_share"),
    layout.scores("CLIP-IT", "clip_it"),
    layout.scores("no text", "no_text"),
    layout.differences(),
    layout.words("wins", "wins"),
    Column("interval covers 0", lambda row, _: YES_OR_NO[row["covers_zero"]]),
    Column("within the margin", lambda row, _: YES_OR_NO[row["within"]]),
    Column("minus all replaced", lambda row, _: difference_of(row, "over_replaced_")),
)


def planted(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns what remains of the gain when pairs are replaced at random."""
    margin = float(frame["margin_points"].iloc[0])
    before = (
        notes.METRIC + " CLIP-IT minus its own no-text ablation (same layers, no report read).",
        "If the gain comes from the pairs, it shrinks as they are replaced, and nothing is left at "
        "100%: the interval covers 0, and better still the 90% interval lies within the margin of "
        f"{margin:g} points (an interval that covers 0 may as well be a wide one).",
        *sentences(frame),
        notes.CROSSED.replace(" and p-values", ""),
    )
    after = (notes.what_varied(comparisons), *notes.warnings(frame))
    title = "Gain over the no-text ablation by share of replaced pairs"
    return lay_out("replaced_pairs", title, frame, COLUMNS, comparisons, before=before, after=after)


def sentences(frame: pd.DataFrame) -> tuple[str, ...]:
    """Says of each comparison and setting whether the planted gain was seen, the absent one denied.

    Settings without runs on pairs that are all replaced have no sentence.
    """
    if not len(frame):
        return ()
    found = []
    for _, mine in frame.groupby(["dataset", "backbone", "setting"], sort=False):
        rows = {row["replaced_share"]: row for row in records(mine)}
        if 1 in rows:
            found.append(_sentence(rows.get(0), rows[1]))
    return tuple(found)


def _sentence(full: dict[str, Any] | None, none: dict[str, Any]) -> str:
    """Returns the sentence on one setting, from its rows of share 0 and 1."""
    setting = f", {none['setting']}" if none["setting"] else ""
    parts = [] if full is None else [_seen(full)]
    return (
        f"{none['backbone']} on {none['dataset']}{setting}: {'; '.join([*parts, _denied(none)])}."
    )


def _seen(row: dict[str, Any]) -> str:
    """Says whether the gain on untouched pairs was seen."""
    words = f"on untouched pairs the gain over the no-text ablation is {difference_of(row)} points"
    if row["over_replaced_low_points"] is not None:
        words += f", over the same with all pairs replaced {difference_of(row, 'over_replaced_')}"
    if row["refused"]:
        return f"{words}, not tested ({row['refused']})"
    lows = (row["low_points"], row["over_replaced_low_points"])
    seen = all(low is not None and low > 0 for low in lows)
    return f"{words}: the planted gain {'was' if seen else 'was not'} seen"


def _denied(row: dict[str, Any]) -> str:
    """Says whether the gain on pairs that are all replaced was denied."""
    words = f"with all pairs replaced at random it is {difference_of(row)} points"
    if row["refused"]:
        return f"{words}, not tested ({row['refused']})"
    if row["within"]:
        return (
            f"{words}, within {row['margin_points']:g} points of zero: the absent gain was denied"
        )
    if row["covers_zero"]:
        return (
            f"{words}; the interval covers zero, but that the gain is within "
            f"{row['margin_points']:g} points of it is not shown"
        )
    return f"{words}; the interval does not cover zero: not all of the gain comes from the pairs"
