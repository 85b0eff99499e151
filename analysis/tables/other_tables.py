"""The tables of ablations (with verdicts), secondary tests, and runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..reading.study import Comparison
from . import notes
from .gain_tables import published_cell
from .table import (
    DAGGER,
    NONE,
    STAR,
    Footnotes,
    Table,
    difference,
    marked_difference,
    number,
    p_value,
    percent,
    records,
)


def ablations(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns each variant against full CLIP-IT, with a verdict.

    Args:
        frame: `comparisons.ablation_frame`, with at least one row.
        comparisons: The comparisons that it was computed from.
    """
    footnotes = Footnotes()
    shown = pd.DataFrame([_ablation_row(row, footnotes) for row in records(frame)])
    keys = {
        "variant": "variant_mean_percent",
        "full CLIP-IT": "clip_it_mean_percent",
        "difference [95% CI]": "difference_points",
        "p": "p",
        "BH p": "p_bh",
    }
    margin = float(frame["margin_points"].iloc[0])
    footer = (
        notes.METRIC + " Variant minus full CLIP-IT.",
        notes.CROSSED,
        notes.family(frame, "Benjamini-Hochberg"),
        f"Margin {margin:g} points, fixed before looking. Verdict: equivalent if the 90% interval "
        "lies within the margin; else better or worse if the adjusted p is below 0.05; else "
        "inconclusive (which is no evidence of equality).",
        notes.STARRED,
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        notes.PUBLISHED,
        *notes.warnings(frame),
    )
    return Table("ablations", "Ablations of CLIP-IT", frame, shown, keys, footer)


def _ablation_row(row: Mapping[str, Any], footnotes: Footnotes) -> dict[str, str]:
    """Returns one row of `ablations`."""
    gain = marked_difference(row, footnotes)
    where = (row["dataset"], row["backbone"])
    return {
        "Dataset": row["dataset"],
        "Backbone": row["backbone"],
        "Variant": row["label"],
        "variant": percent(row["variant_mean_percent"], row["variant_sd_points"]),
        "full CLIP-IT": percent(row["clip_it_mean_percent"], row["clip_it_sd_points"]),
        "difference [95% CI]": gain + STAR if row["p_bh"] < 0.05 else gain,
        "p": p_value(row["p"]),
        "BH p": p_value(row["p_bh"]),
        "wins": row["wins"],
        "verdict": row["verdict"],
        "variant (published)": published_cell("ablation", *where, row["arm"]),
        "full (published)": published_cell("ablation", *where, "clip_it"),
    }


def secondary(frame: pd.DataFrame, comparisons: Sequence[Comparison], n_resamples: int) -> Table:
    """Returns the secondary tests, with the reasons where one is refused.

    Args:
        frame: `secondary.secondary_frame`, with at least one row.
        comparisons: The comparisons that it was computed from.
        n_resamples: Resamples of each bootstrap.
    """
    footnotes, rows = Footnotes(), []
    for row in records(frame):
        text = row["estimate_text"] or difference(
            row["estimate_points"], row["low_points"], row["high_points"]
        )
        refused = footnotes.mark(row["refused"]) if row["refused"] else ""
        rows.append(
            {
                "Dataset": row["dataset"],
                "Backbone": row["backbone"],
                "Test": row["test"],
                "speaks of": row["answers"],
                "difference [95% CI]": text + (DAGGER if row["mark"] and not refused else ""),
                "p": f"refused {refused}" if refused else row["p"] or NONE,
            }
        )
    footer = (
        "Secondary: p-values are not adjusted and decide nothing. McNemar and DeLong test each "
        "seed's pair of models on the same samples; their p-values are a range and never combined.",
        f"{n_resamples:,} bootstrap resamples.",
        *footnotes.notes,
        *notes.optimistic(frame),
        notes.sizes(comparisons),
    )
    keys = {"difference [95% CI]": "estimate_points"}
    title = "Secondary tests of the gain"
    return Table("secondary", title, frame, pd.DataFrame(rows), keys, footer)


def runs(frame: pd.DataFrame) -> Table:
    """Returns every run: its scores and where they come from.

    Args:
        frame: `comparisons.scores_frame`.
    """
    columns = {
        "Dataset": frame["dataset"],
        "Backbone": frame["backbone"],
        "Arm": frame["label"],
        "Seed": frame["replicate"],
        "balanced accuracy %": frame["balanced_accuracy_percent"].map(number),
        "accuracy %": frame["accuracy_percent"].map(number),
        "ECE": frame["ece"].map(lambda value: number(value, 3)),
        "config digest": frame["config_digest"],
        "checkpoint digest": frame["checkpoint"],
        "run folder": frame["run"],
    }
    keys = {
        "balanced accuracy %": "balanced_accuracy_percent",
        "accuracy %": "accuracy_percent",
        "ECE": "ece",
    }
    footer = (
        "Every number of this report comes from these runs' predictions tables. Digests: first 12 "
        "hex digits of SHA-256. ECE: expected calibration error, 15 bins.",
    )
    return Table("runs", "Runs", frame, pd.DataFrame(columns), keys, footer)
