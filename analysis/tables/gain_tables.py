"""The headline tables: Table 1 in the paper's layout, the gains behind it, and their means."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..frames.headline_frame import ALL_DATASETS, rank_test
from ..reading import arms, published
from ..reading.study import Comparison
from . import layout, notes
from .layout import Column, lay_out
from .table import NONE, STAR, Table, percent, records

SHOWN_ARMS = (arms.UNIMODAL, arms.CLIP_IT)

GAIN_COLUMNS = (
    *layout.WHERE,
    *(layout.scores(arms.LABELS[arm], arm) for arm in SHOWN_ARMS),
    layout.differences(adjusted="p_holm"),
    layout.p_values("p", "p"),
    layout.p_values("Holm p", "p_holm"),
    layout.words("wins", "wins"),
    *(
        layout.published_column(f"{arms.LABELS[arm]} (published)", "table1", arm)
        for arm in SHOWN_ARMS
    ),
)

MEAN_COLUMNS = (
    layout.words("Dataset", "dataset"),
    Column("Backbones", lambda row, _: _count(row["n_backbones"])),
    layout.differences("mean difference [95% CI]"),
    layout.words("wins", "wins"),
    Column("published mean gain", lambda row, _: _published_gains(row["dataset"])),
)


def table1(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns Table 1 in the paper's layout: backbones and methods by datasets."""
    datasets = list(dict.fromkeys(frame["dataset"]))
    rows = []
    for backbone in dict.fromkeys(frame["backbone"]):
        mine = {row["dataset"]: row for row in records(frame) if row["backbone"] == backbone}
        for arm in SHOWN_ARMS:
            row = {"Backbone": backbone, "Method": arms.LABELS[arm]}
            for dataset in datasets:
                row[dataset] = _starred(mine[dataset], arm) if dataset in mine else NONE
                known = layout.published_scores("table1", dataset, backbone, arm)
                row[f"{dataset} (published)"] = known
            rows.append(row)
    footer = (
        notes.METRIC,
        "Bold with * : CLIP-IT differs from unimodal, Holm-adjusted p below 0.05 (see the gains).",
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        notes.PUBLISHED,
    )
    return Table("table1", "Unimodal and CLIP-IT", frame, pd.DataFrame(rows), {}, footer)


def gains(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table | None:
    """Returns the gain of each dataset and backbone; None if no comparison has both arms."""
    if not frame["difference_points"].notna().any():
        return None
    return lay_out(
        "gains",
        "Gain of CLIP-IT over unimodal",
        frame,
        GAIN_COLUMNS,
        comparisons,
        before=(notes.METRIC, notes.CROSSED, notes.family(frame, "Holm"), notes.STARRED),
        after=(notes.what_varied(comparisons), notes.PUBLISHED, *notes.warnings(frame)),
    )


def mean_gains(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns the gain averaged over backbones, by dataset, and over datasets."""
    before = (
        "Mean over backbones of the difference in balanced accuracy, in points. Wins: backbones (in "
        f'the row "{ALL_DATASETS}": datasets) with a positive difference.',
        notes.CROSSED,
        f'The row "{ALL_DATASETS}" speaks of these datasets only.',
        "Intervals only: p-values are tested in the family of single comparisons.",
        *_rank_note(comparisons),
    )
    after = (f"Published: {published.CLAIM_NOTE}.", *notes.warnings(frame))
    title = "Mean gain over backbones"
    return lay_out(
        "mean_gains", title, frame, MEAN_COLUMNS, comparisons, before=before, after=after
    )


def _rank_note(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Returns what may be said of ranks over datasets, or why nothing may."""
    ranks = rank_test(comparisons)
    if ranks is None:
        return ()
    if ranks.refused is not None:
        return (f"Rank test over datasets (Nemenyi) refused: {ranks.refused}.",)
    one, two = ranks.mean_ranks
    return (
        f"Mean ranks over datasets: unimodal {one:.2f}, CLIP-IT {two:.2f}; Nemenyi's critical "
        f"difference {ranks.critical_difference:.2f}.",
    )


def _starred(row: dict[str, Any], arm: str) -> str:
    """Returns mean and SD of an arm, starred where it differs from the other one."""
    text = percent(row[f"{arm}_mean_percent"], row[f"{arm}_sd_points"])
    return text + STAR if arm == arms.CLIP_IT and row["p_holm"] < 0.05 else text


def _count(number: float | None) -> str:
    """Returns a number of backbones; nothing where it has no meaning."""
    return "" if number is None or pd.isna(number) else f"{number:.0f}"


def _published_gains(dataset: str) -> str:
    """Returns the published mean gains over six backbones, by source, or a dash."""
    if dataset not in published.CLAIMED_MEAN_GAINS:
        return NONE
    sources = (published.V1_TABLE, published.REPOSITORY)
    return "; ".join(
        f"{published.mean_gain(dataset, source):+.2f} ({published.SHORT_SOURCES[source]})"
        for source in sources
    )
