"""What would make a study tell more: missing runs, arms, seeds or slides, with the command."""

from collections.abc import Iterator

from ..significance.rules import WARN_SEEDS
from ..tables.contrasts_table import PLAN_LINES, by_dataset, missing_arms
from .content import Contents

AGAIN = "clipit-eva ablate PLAN --output GRID"
"""Goes on with a grid: what is finished is not run again."""

Step = tuple[str, str]
"""What to do, and the command or the line of a plan for it (empty: none)."""


def next_steps(contents: Contents) -> tuple[Step, ...]:
    """Returns what to do next, most pressing first; never empty."""
    steps = tuple(_steps(contents))
    return steps or (("Nothing is missing: report it, with the paragraph under Methods.", ""),)


def _steps(contents: Contents) -> Iterator[Step]:
    """Yields what is missing."""
    if contents.missing:
        yield f"Finish the plan; runs missing: {len(contents.missing)}.", AGAIN
    rows = by_dataset(contents.results["contrasts"])
    lacking = {arm for _, mine in rows for arm in missing_arms(mine)}
    if lacking:
        names = [arm for arm in PLAN_LINES if arm in lacking]
        words = " and ".join(name.replace("_", " ") for name in names)
        lines = ", ".join(PLAN_LINES[name] for name in names)
        yield (
            f"Train the missing arms ({words}): a line of the plan, then {AGAIN}.",
            (f"factors: {{{lines}}}"),
        )
    seeds = min((len(one.replicates) for one in contents.comparisons), default=0)
    undecided = any(mine["text"]["verdict"] == "not_shown" for _, mine in rows)
    if seeds < WARN_SEEDS:
        wanted = ", ".join(map(str, range(1, WARN_SEEDS + 1)))
        yield (
            f"Train more seeds ({seeds} now): a line of the plan, then {AGAIN}.",
            (f"seeds: [{wanted}]"),
        )
    elif undecided:
        yield (
            "More seeds, or more slides and images? This prints the gain that each would show:",
            "clipit-eva power PLAN",
        )
    if any(one.clusters is None for one in contents.comparisons):
        yield (
            "Say which slide or patient each test image is of (README, Analysis): until then "
            "intervals are too narrow.",
            "",
        )
