"""What would make a study tell more: missing runs, arms, seeds or slides, with the command."""

from collections.abc import Iterator

from ..significance.attribution import TEXT
from ..significance.rules import WARN_SEEDS
from ..tables.contrasts_table import by_dataset, missing_arms, plan_line
from .content import Contents

AGAIN = "clipit-eva ablate PLAN --output GRID"
"""Goes on with a grid: what is finished is not run again."""

Step = tuple[str, tuple[str, ...]]
"""What to do, and for it lines of a plan and commands."""


def next_steps(contents: Contents) -> tuple[Step, ...]:
    """Returns what to do next, most pressing first; never empty."""
    return tuple(_steps(contents)) or (
        ("Nothing is missing: report it, with the words at the end of this page.", ()),
    )


def _steps(contents: Contents) -> Iterator[Step]:
    """Yields what is missing."""
    if contents.missing:
        yield f"Finish the plan; runs missing: {len(contents.missing)}.", (AGAIN,)
    rows = by_dataset(contents.results["contrasts"])
    lacking = {arm for _, mine in rows for arm in missing_arms(mine)}
    if lacking:
        words, line = plan_line(lacking)
        yield f"Train the missing arms ({words}); in the plan, and again:", (line, AGAIN)
    seeds = min((len(one.replicates) for one in contents.comparisons), default=0)
    if seeds < WARN_SEEDS:
        line = f"seeds: {list(range(1, WARN_SEEDS + 1))}"
        yield f"Train more seeds ({seeds} now); in the plan, and again:", (line, AGAIN)
    elif any(mine[TEXT]["verdict"] == "not_shown" for _, mine in rows):
        yield "More seeds, or more slides? What each could show:", ("clipit-eva power PLAN",)
    if any(one.clusters is None for one in contents.comparisons):
        words = "Say which slide or patient each test image is of (README, Analysis): until then"
        yield f"{words} intervals are too narrow.", ()
