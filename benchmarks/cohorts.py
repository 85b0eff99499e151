"""Is a planted text gain seen, and an absent one denied, on other synthetic cohorts than one?

Runs the demo on each cohort twice: on its pairs (the positive control) and with all pairs replaced
at random (the negative one). Prints a Markdown row each, and goes on where it was interrupted.

Run: python benchmarks/cohorts.py cohorts
"""

from pathlib import Path

import jsonargparse
import pandas as pd

from clipit_eva.analysis.grid.demo_grid import (  # pyright: ignore[reportMissingImports]
    results,
    run_demo,
)
from clipit_eva.analysis.tables import contrasts_table  # pyright: ignore[reportMissingImports]
from clipit_eva.analysis.tables.table import (  # pyright: ignore[reportMissingImports]
    difference_of,
    p_value,
)

SHARES = {0.0: "untouched", 1.0: "all replaced"}


def compare(output: Path, cohorts: tuple[int, ...] = (1, 2, 3, 4)) -> None:
    """Prints the contrasts of each cohort, by its seed; runs are kept below `output`."""
    print("| cohort | pairs | CLIP-IT - no text | CLIP-IT - shuffled pairs | verdict |")
    print("| --- | --- | --- | --- | --- |")
    for cohort in cohorts:
        for share, words in SHARES.items():
            folder = output / f"cohort_{cohort}_replaced_{share:g}"
            run_demo(folder, share, None, cohort)
            _, contrasts, _ = results(folder)
            print(f"| {cohort} | {words} | {_cells(contrasts)} |", flush=True)


def _cells(contrasts: pd.DataFrame) -> str:
    """Returns the text's and the pairs' contrast, and the verdict."""
    rows = [dict(contrasts.set_index("contrast").loc[contrasts_table.NAMES[name]])
            for name in ("text", "pairs")]  # fmt: skip
    cells = [f"{difference_of(row)}, p {p_value(row['p'])}" for row in rows]
    return " | ".join([*cells, rows[0]["verdict"].replace("_", " ")])


if __name__ == "__main__":
    jsonargparse.CLI(compare, description=__doc__)
