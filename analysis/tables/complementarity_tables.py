"""The tables of complementarity: of each dataset and backbone, and of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from . import notes
from .table import DAGGER, Footnotes, Table, number, percent, records

KEYS = {
    "text right, vision wrong (by chance)": "count_mean",
    "its mirror (by chance)": "mirror_mean",
    "rate % [95% CI]": "rate_percent",
    "observed / chance": "observed_over_expected",
    "rescue rate %": "rescue_rate_percent",
    "oracle accuracy %": "oracle_accuracy_percent",
    "oracle gain": "oracle_gain_points",
    "odds ratio within class": "mantel_haenszel_odds_ratio",
}
"""Columns of the frames that a table's columns are sorted by."""

MEASURE = (
    "Test samples that the text-only model has right and the unimodal one wrong (the paper's "
    "measure), mean ± SD over seeds; in brackets what errors independent within each class would "
    "give. A count near its chance baseline is no evidence of complementary knowledge."
)
INTERVALS = "Intervals (95%) are for new seeds and new samples."


def complementarity(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns what text has right and vision wrong, always beside its chance baseline.

    Args:
        frame: `comparisons.complementarity_frame`, with at least one row.
        comparisons: The comparisons that it was computed from.
    """
    footnotes, rows = Footnotes(), []
    for row in records(frame):
        rows.append(
            {
                **_where(row, frame),
                **_counts(row, footnotes),
                "oracle accuracy %": number(row["oracle_accuracy_percent"]),
                "oracle gain": number(row["oracle_gain_points"]),
                "odds ratio within class": number(row["mantel_haenszel_odds_ratio"]),
            }
        )
    footer = (
        MEASURE,
        "Rescue rate: P(text right | vision wrong). Oracle: if the right one of the two were "
        "always chosen; gain in points over the better one. Odds ratio of being right, pooled over "
        "classes (Mantel-Haenszel): below 1 errors avoid each other, above 1 they coincide. Means "
        "over seeds.",
        INTERVALS,
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        "Published: the paper shows counts in its Fig. 3 without printing them.",
        *notes.warnings(frame),
    )
    title = "Complementarity of text and vision"
    return Table("complementarity", title, frame, pd.DataFrame(rows), KEYS, footer)


def complementarity_by_class(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns the same in each true class.

    Args:
        frame: `comparisons.complementarity_by_class_frame`, with at least one row.
        comparisons: The comparisons that it was computed from.
    """
    footnotes, rows = Footnotes(), []
    for row in records(frame):
        size = {"Class": row["class"], "N": f"{row['n_samples']:,}"}
        rows.append({**_where(row, frame), **size, **_counts(row, footnotes)})
    footer = (
        MEASURE,
        "N: test samples of the class; rates are in percent of them. Rescue rate: P(text right | "
        "vision wrong), mean over seeds. Classes are shown, not tested.",
        INTERVALS,
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        *notes.warnings(frame),
    )
    shown = pd.DataFrame(rows)
    keys = {name: column for name, column in KEYS.items() if name in shown} | {"N": "n_samples"}
    title = "Complementarity in each class"
    return Table("complementarity_by_class", title, frame, shown, keys, footer)


def _where(row: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, str]:
    """Returns what a row is of; the text-only arm only where there are several."""
    where = {"Dataset": row["dataset"], "Backbone": row["backbone"]}
    plain = set(frame["arm"]) == {arms.TEXT_ONLY}
    return where if plain else {**where, "Text": row["label"]}


def _counts(row: Mapping[str, Any], footnotes: Footnotes) -> dict[str, str]:
    """Returns the counts beside chance, and what follows from them."""
    rate = f"{row['rate_percent']:.2f}"
    if row["refused"]:
        rate = f"{rate} {footnotes.mark(row['refused'])}"
    else:
        ends = f"[{row['rate_low_percent']:.2f}, {row['rate_high_percent']:.2f}]"
        rate = f"{rate} {ends}" + (DAGGER if row["mark"] else "")
    return {
        "text right, vision wrong (by chance)": _count(row, "count"),
        "its mirror (by chance)": _count(row, "mirror"),
        "rate % [95% CI]": rate,
        "observed / chance": number(row["observed_over_expected"]),
        "rescue rate %": number(row["rescue_rate_percent"], 1),
    }


def _count(row: Mapping[str, Any], name: str) -> str:
    """Returns a mean count beside its chance baseline."""
    return f"{percent(row[f'{name}_mean'], row[f'{name}_sd'], 1)} ({row[f'{name}_by_chance']:.1f})"
