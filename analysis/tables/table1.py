"""Table 1 in the paper's layout."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading import arms
from ..reading.study import Comparison
from . import layout, notes
from .table import NONE, STAR, Table, percent, records

SHOWN_ARMS = (arms.UNIMODAL, arms.CLIP_IT, arms.AUTHORS)


def table1(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns Table 1 in the paper's layout: backbones and methods by datasets.

    Published numbers of CLIP-IT stand beside the authors' recipe if there are runs of it.
    """
    datasets = list(dict.fromkeys(frame["dataset"]))
    has_authors = f"{arms.AUTHORS}_mean_percent" in frame
    ours = arms.AUTHORS if has_authors else arms.CLIP_IT
    published = {arms.UNIMODAL: arms.UNIMODAL, ours: arms.CLIP_IT}
    rows = []
    for backbone in dict.fromkeys(frame["backbone"]):
        mine = {row["dataset"]: row for row in records(frame) if row["backbone"] == backbone}
        for arm in SHOWN_ARMS[: 3 if has_authors else 2]:
            row = {"Backbone": backbone, "Method": arms.LABELS[arm]}
            for dataset in datasets:
                row[dataset] = _starred(mine[dataset], arm) if dataset in mine else NONE
                known = layout.published_scores("table1", dataset, backbone, published.get(arm, ""))
                row[f"{dataset} (published)"] = known
            rows.append(row)
    footer = (
        notes.METRIC,
        "Bold with * : CLIP-IT differs from unimodal, Holm-adjusted p below 0.05 (from 5 seeds on; "
        "single backbones describe, the contrasts test).",
        notes.sizes(comparisons),
        notes.what_varied(comparisons),
        notes.PUBLISHED,
        *(() if has_authors else (notes.OUR_RECIPE,)),
    )
    return Table("table1", "Unimodal and CLIP-IT", frame, pd.DataFrame(rows), {}, footer)


def _starred(row: dict[str, Any], arm: str) -> str:
    """Returns mean and SD of an arm, starred where it differs from the other one."""
    text = percent(row[f"{arm}_mean_percent"], row[f"{arm}_sd_points"])
    clear = arm == arms.CLIP_IT and row["p_holm"] < 0.05 and not row["mark"]
    return text + STAR if clear else text
