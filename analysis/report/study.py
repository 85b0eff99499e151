"""Everything that a report says, computed from runs and not yet drawn or written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.errors import InputError

from .. import arms, comparisons
from ..alignment import alignment_frame
from ..cells import Cell, gather
from ..complementarity_frames import complementarity_by_class_frame, complementarity_frame
from ..learning import learning_frame
from ..planted import planted_frame
from ..run_files import missing_runs
from ..runs import read_runs
from ..secondary import secondary_frame
from ..significance.resampling import N_RESAMPLES, check_resamples
from ..tables import complementarity, gains, others, planted
from ..tables.table import Table


@dataclass(frozen=True)
class Options:
    """What a user may choose, before looking at results.

    Attributes:
        margin_points: Equivalence margin of ablations, in points of balanced accuracy.
        n_resamples: Resamples of each bootstrap.
        thumbnails: Whether the page shows images of rescued and lost samples.
        report_text: Whether the page shows the reports paired with them.
    """

    margin_points: float = comparisons.MARGIN_POINTS
    n_resamples: int = N_RESAMPLES
    thumbnails: bool = False
    report_text: bool = False

    def check(self) -> None:
        """Refuses a margin that is not above 0, and too few resamples.

        Raises:
            InputError: See above.
        """
        if not (np.isfinite(self.margin_points) and self.margin_points > 0):
            raise InputError(f"--margin {self.margin_points:g} must be above 0 (points)")
        check_resamples(self.n_resamples)


@dataclass(frozen=True, eq=False)
class Study:
    """Results of a folder of runs.

    Attributes:
        cells: The runs, gathered.
        options: What was chosen.
        headline: `comparisons.headline_frame`.
        mean_gain: `comparisons.mean_gain_frame`.
        ablations: `comparisons.ablation_frame`.
        planted: `planted.planted_frame`.
        complementarity: `complementarity_frames.complementarity_frame`.
        by_class: `complementarity_frames.complementarity_by_class_frame`.
        scores: `comparisons.scores_frame`.
        learning: `learning.learning_frame`.
        alignment: `alignment.alignment_frame`.
        tables: The tables, in the order of the report.
        warnings: What a reader must know before trusting the numbers.
    """

    cells: tuple[Cell, ...]
    options: Options
    headline: pd.DataFrame
    mean_gain: pd.DataFrame
    ablations: pd.DataFrame
    planted: pd.DataFrame
    complementarity: pd.DataFrame
    by_class: pd.DataFrame
    scores: pd.DataFrame
    learning: pd.DataFrame
    alignment: pd.DataFrame
    tables: tuple[Table, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())


def make_study(folder: Path, options: Options) -> Study:
    """Reads the runs below a folder and computes everything that a report says.

    Raises:
        InputError: See `runs.read_runs`, `cells.gather` and `Options.check`.
    """
    options.check()
    cells = gather(read_runs(folder))
    headline = comparisons.headline_frame(cells)
    frames = {
        "headline": headline,
        "mean_gain": comparisons.mean_gain_frame(cells),
        "ablations": comparisons.ablation_frame(cells, options.margin_points),
        "planted": planted_frame(cells),
        "complementarity": complementarity_frame(cells),
        "by_class": complementarity_by_class_frame(cells),
        "scores": comparisons.scores_frame(cells),
        "learning": learning_frame(cells),
        "alignment": alignment_frame(cells),
    }
    return Study(
        cells=tuple(cells),
        options=options,
        **frames,
        tables=_tables(cells, frames, options),
        warnings=(*_unfinished(folder), *_warnings(cells, headline)),
    )


def _tables(
    cells: Sequence[Cell], frames: Mapping[str, pd.DataFrame], options: Options
) -> tuple[Table, ...]:
    """Returns the tables for which there are data."""
    headline, tables = frames["headline"], []
    if len(headline):
        tables.append(gains.table1(headline, cells))
    if len(frames["mean_gain"]):
        tables.append(gains.gains(headline, cells))
        tables.append(gains.mean_gains(frames["mean_gain"], cells, comparisons.rank_test(headline)))
    if len(frames["ablations"]):
        tables.append(others.ablations(frames["ablations"], cells))
    if len(frames["planted"]):
        tables.append(planted.planted(frames["planted"], cells))
    if len(frames["complementarity"]):
        tables.append(complementarity.complementarity(frames["complementarity"], cells))
        tables.append(complementarity.complementarity_by_class(frames["by_class"], cells))
    secondary = secondary_frame(cells, options.n_resamples)
    if len(secondary):
        tables.append(others.secondary(secondary, cells, options.n_resamples))
    return (*tables, others.runs(frames["scores"]))


DEMO_BACKBONE = "clipit_eva/demo_vit"
"""The backbone that only the demo's synthetic cohort is meant for."""


def _unfinished(folder: Path) -> tuple[str, ...]:
    """Returns that runs of a grid's plan are not there yet."""
    missing = missing_runs(folder)
    if not missing:
        return ()
    names = [str(run.relative_to(folder)) for run in missing]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    words = "1 run" if len(names) == 1 else f"{len(names)} runs"
    return (f"Not finished: {words} of the grid's plan ({', '.join(names[:3])}{more}).",)


def _warnings(cells: Sequence[Cell], headline: pd.DataFrame) -> tuple[str, ...]:
    """Returns what concerns the report as a whole."""
    found = []
    if not len(headline) or not headline["difference_points"].notna().any():
        found.append("No cell has both unimodal and CLIP-IT runs: there is no headline comparison.")
    if any(cell.backbone == DEMO_BACKBONE for cell in cells):
        found.append(
            f"Runs with {DEMO_BACKBONE} are the demo's, on drawn images in BACH's layout: they say "
            "nothing about real tissue, and published numbers beside them are of real data."
        )
    unknown = [cell.dataset for cell in cells if cell.clusters is None]
    if unknown:
        found.append(
            f"No slide ids are known for {', '.join(dict.fromkeys(unknown))}: patches count as "
            "independent, and intervals are optimistic."
        )
    few = sorted({cell.name for cell in cells if len(cell.replicates) < 5})
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        found.append(f"Fewer than 5 seeds: {', '.join(few[:3])}{more}.")
    runs = [run for cell in cells for arm in cell.runs.values() for run in arm]
    lost = {run.path for run in runs if run.pairing is None and run.method != arms.UNIMODAL
            and not any(name == arms.NO_TEXT for name, _ in run.traits.factors)}  # fmt: skip
    if lost:
        found.append(
            f"The pairing table of {len(lost)} runs is not where it was, or has changed since: "
            "runs on shuffled or random pairs cannot be told from others."
        )
    return tuple(found)
