"""How most tables are made: a list of columns over the rows of a frame, and a footer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..reading import published
from ..reading.study import Comparison
from . import notes
from .table import (
    NONE,
    STAR,
    Footnotes,
    Table,
    marked_difference,
    number,
    p_value,
    percent,
    records,
)

Row = Mapping[str, Any]

PUBLISHED = "(published)"
"""Ends the titles of columns of published numbers, which the page shows on demand."""


@dataclass(frozen=True)
class Column:
    """A column as printed.

    Attributes:
        text: What is printed of a row of the frame; may add to the table's footnotes.
        key: Column of the frame that it is sorted by; None sorts it as text.
    """

    title: str
    text: Callable[[Row, Footnotes], str]
    key: str | None = None


def lay_out(
    name: str,
    title: str,
    frame: pd.DataFrame,
    columns: Sequence[Column],
    comparisons: Sequence[Comparison] = (),
    *,
    before: Sequence[str],
    after: Sequence[str] = (),
) -> Table:
    """Makes a table of one row a row of the frame, which has at least one.

    The footer has the lines `before`, the footnotes, the dagger's meaning, the sizes of the
    comparisons that the frame was computed from, and the lines `after`.
    """
    footnotes = Footnotes()
    rows = [
        {column.title: column.text(row, footnotes) for column in columns} for row in records(frame)
    ]
    keys = {column.title: column.key for column in columns if column.key is not None}
    sizes = [notes.sizes(comparisons)] if comparisons else []
    footer = (*before, *footnotes.notes, *notes.optimistic(frame), *sizes, *after)
    return Table(name, title, frame, pd.DataFrame(rows), keys, footer)


def words(title: str, key: str) -> Column:
    """Returns a column of text as it is; a dash where there is none."""
    return Column(title, lambda row, _: row[key] if isinstance(row[key], str) else NONE)


WHERE = (words("Dataset", "dataset"), words("Backbone", "backbone"))
"""The columns that say which comparison a row is of."""


def scores(title: str, arm: str) -> Column:
    """Returns the column of an arm's mean and SD."""
    mean, sd = f"{arm}_mean_percent", f"{arm}_sd_points"
    return Column(title, lambda row, _: percent(row[mean], row[sd]), mean)


def differences(title: str = "difference [95% CI]", adjusted: str | None = None) -> Column:
    """Returns the column of differences; starred where the p in column `adjusted` is below 5%.

    A row whose interval is patch-level and optimistic is never starred: it decides nothing.
    """

    def text(row: Row, footnotes: Footnotes) -> str:
        starred = adjusted is not None and row[adjusted] < 0.05 and not row["mark"]
        return marked_difference(row, footnotes) + (STAR if starred else "")

    return Column(title, text, "difference_points")


def p_values(title: str, key: str) -> Column:
    """Returns a column of p-values."""
    return Column(title, lambda row, _: p_value(row[key]), key)


def numbers(title: str, key: str, digits: int = 2) -> Column:
    """Returns a column of numbers."""
    return Column(title, lambda row, _: number(row[key], digits), key)


def published_column(title: str, table: str, arm: str | None = None) -> Column:
    """Returns the column of what a published table has of an arm.

    None: of the row's `published_arm`. There is a dash in rows where that is empty.
    """

    def text(row: Row, _: Footnotes) -> str:
        own = row["published_arm"]
        return published_scores(table, row["dataset"], row["backbone"], own and (arm or own))

    return Column(title, text)


def published_scores(table: str, dataset: str, backbone: str, arm: str) -> str:
    """Returns what is published of an arm, by source, or a dash."""
    shown = []
    for row in published.lookup(table, dataset, backbone, arm):
        text = f"{row.accuracy_percent:.{1 if row.source == published.REPOSITORY else 2}f}"
        sd = "" if row.sd_percent is None else f" ± {row.sd_percent:.2f}"
        shown.append(f"{text}{sd} ({published.SHORT_SOURCES[row.source]})")
    return "; ".join(shown) or NONE
