"""The tables of complementarity: of each dataset and backbone, and of each class."""

from collections.abc import Sequence

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from . import layout, notes
from .layout import Column, Row, lay_out
from .table import DAGGER, Footnotes, Table, percent

MEASURE = (
    "Test samples that the text-only model has right and the unimodal one wrong (the paper's "
    "measure), mean ± SD over seeds; in brackets what errors independent within each class would "
    "give. A count near its chance baseline is no evidence of complementary knowledge."
)
INTERVALS = "Intervals (95%) are for new seeds and new samples."


def complementarity(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns what text has right and vision wrong, always beside its chance baseline."""
    columns = (
        *_where(frame),
        *COUNTS,
        layout.numbers("oracle accuracy %", "oracle_accuracy_percent"),
        layout.numbers("oracle gain", "oracle_gain_points"),
        layout.numbers("odds ratio within class", "mantel_haenszel_odds_ratio"),
    )
    before = (
        MEASURE,
        "Rescue rate: P(text right | vision wrong). Oracle: if the right one of the two were "
        "always chosen; gain in points over the better one. Odds ratio of being right, pooled over "
        "classes (Mantel-Haenszel): below 1 errors avoid each other, above 1 they coincide. Means "
        "over seeds.",
        INTERVALS,
    )
    printed = "Published: the paper shows counts in its Fig. 3 without printing them."
    after = (printed, *notes.warnings(frame))
    title = "Complementarity of text and vision"
    return lay_out(
        "complementarity", title, frame, columns, comparisons, before=before, after=after
    )


def complementarity_by_class(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns the same in each true class."""
    columns = (
        *_where(frame),
        layout.words("Class", "class"),
        layout.numbers("N", "n_samples", 0),
        *COUNTS,
    )
    before = (
        MEASURE,
        "N: test samples of the class; rates are in percent of them. Rescue rate: P(text right | "
        "vision wrong), mean over seeds. Classes are shown, not tested.",
        INTERVALS,
    )
    title, after = "Complementarity in each class", notes.warnings(frame)
    name = "complementarity_by_class"
    return lay_out(name, title, frame, columns, comparisons, before=before, after=after)


def _where(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Returns what rows are of; the text-only arm only where there are several."""
    several = set(frame["arm"]) != {arms.TEXT_ONLY}
    return (*layout.WHERE, layout.words("Text", "label")) if several else layout.WHERE


def _count(title: str, name: str) -> Column:
    """Returns the column of a mean count beside its chance baseline."""

    def text(row: Row, _: Footnotes) -> str:
        count = percent(row[f"{name}_mean"], row[f"{name}_sd"], 1)
        return f"{count} ({row[f'{name}_by_chance']:.1f})"

    return Column(title, text, f"{name}_mean")


def _rate(row: Row, footnotes: Footnotes) -> str:
    """Returns the rate with its interval, or with the reason why it has none."""
    rate = f"{row['rate_percent']:.2f}"
    if row["refused"]:
        return f"{rate} {footnotes.mark(row['refused'])}"
    ends = f"[{row['rate_low_percent']:.2f}, {row['rate_high_percent']:.2f}]"
    return f"{rate} {ends}" + (DAGGER if row["mark"] else "")


COUNTS = (
    _count("text right, vision wrong (by chance)", "count"),
    _count("its mirror (by chance)", "mirror"),
    Column("rate % [95% CI]", _rate, "rate_percent"),
    layout.numbers("observed / chance", "observed_over_expected"),
    layout.numbers("rescue rate %", "rescue_rate_percent", 1),
)
"""The counts beside chance, and what follows from them."""
