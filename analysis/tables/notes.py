"""The footer of a table: what a reader must know to judge its numbers."""

from collections.abc import Sequence

import pandas as pd

from ..reading.study import Comparison
from .table import DAGGER, records

METRIC = "Balanced accuracy (macro recall) in percent, mean ± SD over seeds; differences in points."
CROSSED = (
    "Intervals (95%) and p-values are for new seeds and new samples at once (crossed random "
    "effects, standard error not below the one of fixed models)."
)
PUBLISHED = (
    "Columns marked published are printed numbers of the paper (v1: arXiv 2504.16181v1) and of its "
    "authors' repository, not measured here."
)
OUR_RECIPE = (
    "CLIP-IT beside published numbers is this package's recipe, not the authors' own, which "
    "clip_it_authors trains."
)
OPTIMISTIC = (
    f"{DAGGER} patch-level, optimistic: no slide ids are known, so patches count as independent "
    "and intervals are too narrow: they decide nothing."
)
STARRED = "Bold with * : adjusted p below 0.05."


def few_labels(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Says, of studies with few labels, that those of validation are all known."""
    if all(comparison.labels_per_class is None for comparison in comparisons):
        return ()
    return (
        "Where a number of labels a class is named, it counts training images; the validation "
        "images that select checkpoints keep all their labels.",
    )


def sizes(comparisons: Sequence[Comparison]) -> str:
    """Says how many samples, slides and seeds there are, by dataset."""
    parts = []
    for dataset in dict.fromkeys(comparison.dataset for comparison in comparisons):
        mine = [comparison for comparison in comparisons if comparison.dataset == dataset]
        slides = mine[0].n_slides
        of_slides = "slides unknown" if slides is None else f"{slides:,} slides or patients"
        seeds = sorted({len(comparison.replicates) for comparison in mine})
        counts = "1 seed" if seeds == [1] else " or ".join(map(str, seeds)) + " seeds"
        parts.append(f"{dataset} {len(mine[0].samples):,} ({of_slides}; {counts})")
    return "Test samples N: " + ", ".join(parts) + "."


def what_varied(comparisons: Sequence[Comparison]) -> str:
    """Says which seeds there are: runs of one arm differ in nothing else."""
    names = dict.fromkeys(name for comparison in comparisons for name in comparison.seed_names)
    shown = ", ".join(names) if len(names) <= 12 else f"{len(names)} replicates"
    if len(names) < 2:
        return f"One seed ({shown}): nothing varied, so nothing is known about other seeds."
    return f"Over seeds ({shown}) only the training seed varied."


def family(frame: pd.DataFrame, method: str) -> str:
    """Says how p-values were adjusted."""
    size = int(frame["family_size"].iloc[0]) if "family_size" in frame and len(frame) else 0
    return f"{method} over a family of {size} comparisons."


def optimistic(frame: pd.DataFrame) -> tuple[str, ...]:
    """Returns the explanation of the dagger where a row bears it."""
    marked = [
        row for row in records(frame) if _text(row.get("mark")) and not _text(row.get("refused"))
    ]
    return (OPTIMISTIC,) if marked else ()


def warnings(frame: pd.DataFrame) -> tuple[str, ...]:
    """Returns each warning once, with the rows it concerns."""
    if "warnings" not in frame:
        return ()
    found: dict[str, list[str]] = {}
    for row in records(frame):
        for warning in filter(None, _text(row["warnings"]).split("; ")):
            where = [row.get("backbone"), row.get("dataset")]
            words = " on ".join(str(part) for part in where if isinstance(part, str))
            found.setdefault(warning, []).append(words)
    return tuple(
        f"Warning: {text} ({'all rows' if len(rows) == len(frame) > 1 else few(rows)})."
        for text, rows in found.items()
    )


def _text(value: object) -> str:
    """Returns text as it is, and a missing value as no text."""
    return value if isinstance(value, str) else ""


def few(names: Sequence[str]) -> str:
    """Names the first three, each once, and says how many more there are."""
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
    return ", ".join(distinct[:3]) + more
