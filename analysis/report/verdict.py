"""The answer in a box: of each dataset its verdict, its contrasts, and what they rest on."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..reading.study import Comparison
from ..significance.attribution import METHOD
from ..tables.contrasts_table import NAMES, by_dataset, verdict_words
from ..tables.table import DAGGER, difference_of, p_value


def answers(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Returns what the runs say of each dataset with a contrast; the frame is `contrasts_frame`'s.

    Returns:
        `dataset`, `verdict` (`significance.attribution.Finding`), `words` (the same in words),
        `contrasts` (name, difference with its 95% interval in points, and p) and `sizes`.
    """
    return [
        {
            "dataset": dataset,
            "verdict": mine[METHOD]["verdict"],
            "words": verdict_words(mine),
            "contrasts": [_contrast(name, mine[name]) for name in NAMES],
            "sizes": _sizes([one for one in comparisons if one.dataset == dataset], mine),
        }
        for dataset, mine in by_dataset(frame)
    ]


def _contrast(name: str, row: dict[str, Any]) -> tuple[str, str, str]:
    """Returns a contrast as printed, or why there is none."""
    if row["refused"]:
        shown = difference_of(row) + " " if row["n_backbones"] else ""
        return NAMES[name], f"{shown}{row['refused']}", ""
    adjusted = pd.notna(row["p_holm"])
    p = p_value(row["p_holm"] if adjusted else row["p"])
    sign = "" if p.startswith("<") else "= "
    return (
        NAMES[name],
        difference_of(row) + (DAGGER if row["mark"] else ""),
        f"{'Holm p' if adjusted else 'p'} {sign}{p}",
    )


def _sizes(mine: Sequence[Comparison], rows: dict[str, dict[str, Any]]) -> str:
    """Says how many seeds, images, slides and backbones there are."""
    seeds = sorted({row["n_seeds"] for row in rows.values() if row["n_backbones"]})
    slides = mine[0].n_slides
    counts = (
        (" or ".join(map(str, seeds)), "seed"),
        (f"{len(mine[0].samples):,}", "test image"),
        ("" if slides is None else f"{slides:,}", "slide"),
        (f"{max(row['n_backbones'] for row in rows.values())}", "backbone"),
    )
    words = (
        f"{n} {what}{'' if n == '1' else 's'}" if n else f"{what}s unknown" for n, what in counts
    )
    marked = any(row["mark"] for row in rows.values())
    return ", ".join(words) + (
        f". {DAGGER} patches count as independent: intervals are too narrow" if marked else ""
    )
