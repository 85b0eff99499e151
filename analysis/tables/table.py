"""A table as printed, beside the numbers that it was printed from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

STAR = " *"
"""Ends a cell that is significant after adjustment; bold comes on top, never alone."""

DAGGER = "†"
"""Marks intervals that treat patches as independent."""

NONE = "-"
"""Stands for what there is not."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a report.

    Attributes:
        name: Name in files.
        title: Heading.
        data: Every number, unrounded: what the CSV file holds.
        shown: What is printed, text, one row for each row of `data` where `keys` is given.
        keys: Column of `data` that a column of `shown` is sorted by; others sort as text.
        notes: The footer, one sentence each.
    """

    name: str
    title: str
    data: pd.DataFrame
    shown: pd.DataFrame
    keys: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Footnotes:
    """Numbers reasons as they come up, each once."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """Returns the mark of a reason, such as "[1]"."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        return f"[{self._reasons.index(reason) + 1}]"

    @property
    def notes(self) -> tuple[str, ...]:
        """The reasons as footer lines."""
        return tuple(f"[{place}] {reason}" for place, reason in enumerate(self._reasons, start=1))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns a DataFrame's rows as mappings."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def percent(mean: float | None, sd: float | None, digits: int = 2) -> str:
    """Returns "88.07 ± 0.89", "88.07" without an SD, or a dash without a value."""
    if mean is None or pd.isna(mean):
        return NONE
    return f"{mean:.{digits}f}" + ("" if sd is None or pd.isna(sd) else f" ± {sd:.{digits}f}")


def difference(estimate: float | None, low: float | None, high: float | None) -> str:
    """Returns "+2.78 [0.83, 4.73]", without the interval where there is none."""
    if estimate is None or pd.isna(estimate):
        return NONE
    if low is None or high is None or pd.isna(low) or pd.isna(high):
        return f"{estimate:+.2f}"
    return f"{estimate:+.2f} [{low:.2f}, {high:.2f}]"


def difference_of(row: Mapping[str, Any], prefix: str = "") -> str:
    """Returns the `difference` of a row's `difference_points`, `low_points`, `high_points`.

    Of columns with a prefix, if one is given.
    """
    ends = ("difference", "low", "high")
    return difference(*(row.get(f"{prefix}{name}_points") for name in ends))


def marked_difference(row: Mapping[str, Any], footnotes: Footnotes) -> str:
    """Returns a row's difference with its interval, or with the reason why it has none.

    The row has `difference_points`, and if any `low_points`, `high_points`, `refused` and `mark`.
    """
    text = difference_of(row)
    if isinstance(row.get("refused"), str) and row["refused"]:
        return f"{text} {footnotes.mark(row['refused'])}"
    return text + DAGGER if row.get("mark") else text


def p_value(p: float | None) -> str:
    """Returns a p-value with three decimals, or "<0.001"."""
    if p is None or pd.isna(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float | None, digits: int = 2) -> str:
    """Returns a number, or a dash."""
    return NONE if value is None or pd.isna(value) else f"{value:,.{digits}f}"
