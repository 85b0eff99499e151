"""The headline tables: Table 1 in the paper's layout, the gains behind it, and their means."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..frames import comparison_frames
from ..reading import arms, published
from ..reading.study import Comparison
from ..significance.datasets import Nemenyi
from . import notes
from .table import NONE, STAR, Footnotes, Table, marked_difference, p_value, percent, records

SHOWN_ARMS = (arms.UNIMODAL, arms.CLIP_IT)


def table1(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns Table 1 in the paper's layout: backbones and methods by datasets.

    Args:
        frame: `comparison_frames.headline_frame`.
        comparisons: The comparisons that it was computed from.
    """
    datasets = list(dict.fromkeys(frame["dataset"]))
    rows = []
    for backbone in dict.fromkeys(frame["backbone"]):
        mine = {row["dataset"]: row for row in records(frame) if row["backbone"] == backbone}
        for arm in SHOWN_ARMS:
            row = {"Backbone": backbone, "Method": arms.LABELS[arm]}
            for dataset in datasets:
                row[dataset] = _cell(mine[dataset], arm) if dataset in mine else NONE
                row[f"{dataset} (published)"] = published_cell("table1", dataset, backbone, arm)
            rows.append(row)
    footer = (
        notes.METRIC,
        "Bold with * : CLIP-IT differs from unimodal, Holm-adjusted p below 0.05 (see the gains).",
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        notes.PUBLISHED,
    )
    return Table("table1", "Unimodal and CLIP-IT", frame, pd.DataFrame(rows), {}, footer)


def gains(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns the difference of CLIP-IT and unimodal of each dataset and backbone.

    Args:
        frame: `comparison_frames.headline_frame`.
        comparisons: The comparisons that it was computed from.
    """
    footnotes = Footnotes()
    shown = pd.DataFrame([_gain_row(row, footnotes) for row in records(frame)])
    keys = {
        "unimodal": "unimodal_mean_percent",
        "CLIP-IT": "clip_it_mean_percent",
        "difference [95% CI]": "difference_points",
        "p": "p",
        "Holm p": "p_holm",
    }
    footer = (
        notes.METRIC,
        notes.CROSSED,
        notes.family(frame, "Holm"),
        notes.STARRED,
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        notes.PUBLISHED,
        *notes.warnings(frame),
    )
    return Table("gains", "Gain of CLIP-IT over unimodal", frame, shown, keys, footer)


def mean_gains(
    frame: pd.DataFrame, comparisons: Sequence[Comparison], ranks: Nemenyi | None = None
) -> Table:
    """Returns the gain averaged over backbones, by dataset, and over datasets.

    Args:
        frame: `comparison_frames.mean_gain_frame`.
        comparisons: The comparisons that it was computed from.
        ranks: `comparison_frames.rank_test`, for the footer.
    """
    footnotes, rows = Footnotes(), []
    for row in records(frame):
        gain = marked_difference(row, footnotes)
        gains_of_paper = comparison_frames.paper_mean_gains(row["dataset"])
        rows.append(
            {
                "Dataset": row["dataset"],
                "Backbones": "" if pd.isna(row["n_backbones"]) else f"{row['n_backbones']:.0f}",
                "mean difference [95% CI]": gain,
                "wins": row.get("wins") if isinstance(row.get("wins"), str) else NONE,
                "published mean gain": "; ".join(
                    f"{v:+.2f} ({s})" for s, v in gains_of_paper.items()
                )
                or NONE,
            }
        )
    footer = (
        "Mean over backbones of the difference in balanced accuracy, in points. Wins: seeds (in "
        f'the row "{comparison_frames.ALL_DATASETS}": datasets) with a positive difference.',
        notes.CROSSED,
        f'The row "{comparison_frames.ALL_DATASETS}" speaks of these datasets only.',
        "Intervals only: p-values are tested in the family of single comparisons.",
        *_rank_note(ranks),
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        f"Published: {published.CLAIM_NOTE}.",
        *notes.warnings(frame),
    )
    keys = {"mean difference [95% CI]": "difference_points"}
    return Table("mean_gains", "Mean gain over backbones", frame, pd.DataFrame(rows), keys, footer)


def _rank_note(ranks: Nemenyi | None) -> tuple[str, ...]:
    """Returns what may be said of ranks over datasets, or why nothing may."""
    if ranks is None:
        return ()
    if ranks.refused is not None:
        return (f"Rank test over datasets (Nemenyi) refused: {ranks.refused}.",)
    one, two = ranks.mean_ranks
    return (
        f"Mean ranks over datasets: unimodal {one:.2f}, CLIP-IT {two:.2f}; Nemenyi's critical "
        f"difference {ranks.critical_difference:.2f}.",
    )


def published_cell(table: str, dataset: str, backbone: str, arm: str) -> str:
    """Returns what is published of an arm, by source, or a dash."""
    found = published.lookup(table, dataset, backbone, arm)
    shown = []
    for row in found:
        text = f"{row.accuracy_percent:.{1 if row.source == published.REPOSITORY else 2}f}"
        sd = "" if row.sd_percent is None else f" ± {row.sd_percent:.2f}"
        shown.append(f"{text}{sd} ({published.SHORT_SOURCES[row.source]})")
    return "; ".join(shown) or NONE


def _cell(row: Mapping[str, Any], arm: str) -> str:
    """Returns mean and SD of an arm, starred where it differs from the other one."""
    text = percent(row[f"{arm}_mean_percent"], row[f"{arm}_sd_points"])
    return text + STAR if arm == arms.CLIP_IT and row["p_holm"] < 0.05 else text


def _gain_row(row: Mapping[str, Any], footnotes: Footnotes) -> dict[str, str]:
    """Returns one row of `gains`."""
    where = (row["dataset"], row["backbone"])
    gain = marked_difference(row, footnotes)
    row = {
        "Dataset": row["dataset"],
        "Backbone": row["backbone"],
        "unimodal": percent(row["unimodal_mean_percent"], row["unimodal_sd_points"]),
        "CLIP-IT": percent(row["clip_it_mean_percent"], row["clip_it_sd_points"]),
        "difference [95% CI]": gain + STAR if row["p_holm"] < 0.05 else gain,
        "p": p_value(row.get("p")),
        "Holm p": p_value(row["p_holm"]),
        "wins": row.get("wins") if isinstance(row.get("wins"), str) else NONE,
    }
    for arm in SHOWN_ARMS:
        row[f"{arms.LABELS[arm]} (published)"] = published_cell("table1", *where, arm)
    return row
