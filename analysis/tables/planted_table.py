"""The table of planted truth: gain over the no-text ablation by share of replaced pairs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading.study import Comparison
from . import notes
from .table import NONE, Footnotes, Table, difference, marked_difference, percent, records


def planted(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns what remains of the gain when pairs are replaced at random.

    Args:
        frame: `planted.planted_frame`, with at least one row.
        comparisons: The comparisons that it was computed from.
    """
    footnotes, rows = Footnotes(), []
    for row in records(frame):
        rows.append(
            {
                "Dataset": row["dataset"],
                "Backbone": row["backbone"],
                "pairs replaced %": f"{100 * row['replaced_share']:g}",
                "CLIP-IT": percent(row["clip_it_mean_percent"], row["clip_it_sd_points"]),
                "no text": percent(row["no_text_mean_percent"], row["no_text_sd_points"]),
                "difference [95% CI]": marked_difference(row, footnotes),
                "wins": row["wins"],
                "interval covers 0": _covers(row["covers_zero"]),
            }
        )
    footer = (
        notes.METRIC + " CLIP-IT minus its own no-text ablation (same layers, no report read).",
        "If the gain comes from the pairs, it shrinks as they are replaced, and the interval at "
        "100% covers 0.",
        *sentences(frame),
        notes.CROSSED.replace(" and p-values", ""),
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        *notes.warnings(frame),
    )
    keys = {
        "pairs replaced %": "replaced_share",
        "CLIP-IT": "clip_it_mean_percent",
        "no text": "no_text_mean_percent",
        "difference [95% CI]": "difference_points",
    }
    title = "Gain over the no-text ablation by share of replaced pairs"
    return Table("replaced_pairs", title, frame, pd.DataFrame(rows), keys, footer)


def sentences(frame: pd.DataFrame) -> tuple[str, ...]:
    """Says of each dataset and backbone whether the gain is gone when all pairs are replaced.

    Args:
        frame: `planted.planted_frame`; may be empty.
    """
    return tuple(_sentence(row) for row in records(frame) if row["replaced_share"] == 1)


def _sentence(row: dict[str, Any]) -> str:
    """Returns the sentence on one comparison at share 1."""
    gain = difference(*(row[f"{name}_points"] for name in ("difference", "low", "high")))
    words = (
        f"{row['backbone']} on {row['dataset']}: with all pairs replaced at random, the gain over "
        f"the no-text ablation is {gain} points"
    )
    if row["refused"]:
        return f"{words}; not tested ({row['refused']})."
    if row["covers_zero"]:
        return f"{words}; the interval covers zero."
    return f"{words}; the interval does not cover zero: not all of the gain comes from the pairs."


def _covers(value: bool | None) -> str:
    if value is None:
        return NONE
    return "yes" if value else "no"
