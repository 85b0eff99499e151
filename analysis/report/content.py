"""Everything that a report says, computed from runs and not yet drawn or written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.errors import InputError

from ..frames import comparison_frames
from ..frames.alignment_frame import alignment_frame
from ..frames.complementarity_frames import complementarity_by_class_frame, complementarity_frame
from ..frames.learning_frame import learning_frame
from ..frames.planted_frame import planted_frame
from ..frames.secondary_frame import secondary_frame
from ..reading import arms
from ..reading.run_files import missing_runs
from ..reading.runs import read_runs
from ..reading.study import Comparison, gather
from ..significance.resampling import N_RESAMPLES, check_resamples
from ..tables import complementarity_tables, gain_tables, other_tables, planted_table
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

    margin_points: float = comparison_frames.MARGIN_POINTS
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
        comparisons: The runs, gathered.
        options: What was chosen.
        headline: `comparison_frames.headline_frame`.
        mean_gain: `comparison_frames.mean_gain_frame`.
        ablations: `comparison_frames.ablation_frame`.
        planted: `planted_table.planted_frame`.
        complementarity: `complementarity_frames.complementarity_frame`.
        by_class: `complementarity_frames.complementarity_by_class_frame`.
        scores: `comparison_frames.scores_frame`.
        learning: `learning.learning_frame`.
        alignment: `alignment.alignment_frame`.
        tables: The tables, in the order of the report.
        warnings: What a reader must know before trusting the numbers.
    """

    comparisons: tuple[Comparison, ...]
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
        InputError: See `runs.read_runs`, `comparisons.gather` and `Options.check`.
    """
    options.check()
    comparisons = gather(read_runs(folder))
    headline = comparison_frames.headline_frame(comparisons)
    frames = {
        "headline": headline,
        "mean_gain": comparison_frames.mean_gain_frame(comparisons),
        "ablations": comparison_frames.ablation_frame(comparisons, options.margin_points),
        "planted": planted_frame(comparisons),
        "complementarity": complementarity_frame(comparisons),
        "by_class": complementarity_by_class_frame(comparisons),
        "scores": comparison_frames.scores_frame(comparisons),
        "learning": learning_frame(comparisons),
        "alignment": alignment_frame(comparisons),
    }
    return Study(
        comparisons=tuple(comparisons),
        options=options,
        **frames,
        tables=_tables(comparisons, frames, options),
        warnings=(*_unfinished(folder), *_warnings(comparisons, headline)),
    )


def _tables(
    comparisons: Sequence[Comparison], frames: Mapping[str, pd.DataFrame], options: Options
) -> tuple[Table, ...]:
    """Returns the tables for which there are data."""
    headline, tables = frames["headline"], []
    if len(headline):
        tables.append(gain_tables.table1(headline, comparisons))
    if len(frames["mean_gain"]):
        tables.append(gain_tables.gains(headline, comparisons))
        tables.append(
            gain_tables.mean_gains(
                frames["mean_gain"], comparisons, comparison_frames.rank_test(headline)
            )
        )
    if len(frames["ablations"]):
        tables.append(other_tables.ablations(frames["ablations"], comparisons))
    if len(frames["planted"]):
        tables.append(planted_table.planted(frames["planted"], comparisons))
    if len(frames["complementarity"]):
        tables.append(
            complementarity_tables.complementarity(frames["complementarity"], comparisons)
        )
        tables.append(
            complementarity_tables.complementarity_by_class(frames["by_class"], comparisons)
        )
    secondary = secondary_frame(comparisons, options.n_resamples)
    if len(secondary):
        tables.append(other_tables.secondary(secondary, comparisons, options.n_resamples))
    return (*tables, other_tables.runs(frames["scores"]))


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


def _warnings(comparisons: Sequence[Comparison], headline: pd.DataFrame) -> tuple[str, ...]:
    """Returns what concerns the report as a whole."""
    found = []
    if not len(headline) or not headline["difference_points"].notna().any():
        found.append(
            "No comparison has both unimodal and CLIP-IT runs: there is no headline comparison."
        )
    if any(comparison.backbone == DEMO_BACKBONE for comparison in comparisons):
        found.append(
            f"Runs with {DEMO_BACKBONE} are the demo's, on drawn images in BACH's layout: they say "
            "nothing about real tissue, and published numbers beside them are of real data."
        )
    unknown = [comparison.dataset for comparison in comparisons if comparison.clusters is None]
    if unknown:
        found.append(
            f"No slide ids are known for {', '.join(dict.fromkeys(unknown))}: patches count as "
            "independent, and intervals are optimistic."
        )
    few = sorted({comparison.name for comparison in comparisons if len(comparison.replicates) < 5})
    if few:
        more = f" and {len(few) - 3} more" if len(few) > 3 else ""
        found.append(f"Fewer than 5 seeds: {', '.join(few[:3])}{more}.")
    runs = [run for comparison in comparisons for arm in comparison.runs.values() for run in arm]
    read_text = [run for run in runs if run.method in (arms.TEXT_ONLY, arms.CLIP_IT)]
    lost = {run.path for run in read_text if run.pairing is None
            and run.settings.get("model.distill_weight") != 0}  # fmt: skip
    if lost:
        found.append(
            f"The pairing table of {len(lost)} runs is not where it was, or has changed since: "
            "runs on shuffled or random pairs cannot be told from others."
        )
    return tuple(found)
