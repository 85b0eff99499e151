"""Everything that a report says, computed from runs and not yet drawn or written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ..reading import arms
from ..reading.run_files import missing_runs, planned_margin
from ..reading.runs import Run, read_runs
from ..reading.study import Comparison, gather
from ..tables.notes import few
from ..tables.table import Table
from .panels import Drawing
from .sections import Options, Section, sections

DEMO_BACKBONE = "clipit_eva/demo_vit"
"""The backbone that only the demo's synthetic cohort is meant for."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Results of a folder of runs.

    Attributes:
        results: The frame of each section, by the section's name.
        tables: The table of each section that has one, in the order of the report.
        warnings: What a reader must know before trusting the numbers.
        missing: Folders of runs of the grid's plan that are not there yet.
        margin_fixed: Whether a grid's plan had the margin before any of its runs was finished.
    """

    comparisons: tuple[Comparison, ...]
    options: Options
    results: Mapping[str, pd.DataFrame]
    tables: Mapping[str, Table]
    warnings: tuple[str, ...]
    missing: tuple[str, ...] = ()
    margin_fixed: bool = False

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections, in their order."""
        return sections(self.options)

    def drawings(self) -> Iterator[tuple[str, Drawing]]:
        """Yields the figures for which there are data, each with the name of its section."""
        for section in self.sections:
            frame = self.results[section.name]
            if section.figures is not None and len(frame):
                for drawing in section.figures(frame, self.comparisons):
                    yield section.name, drawing


def make_contents(folder: Path, options: Options) -> Contents:
    """Reads the runs below a folder and computes everything that a report says.

    Raises:
        InputError: See `runs.read_runs`, `study.gather` and `Options.check`.
    """
    planned = planned_margin(folder)
    if options.margin_points is None:
        options = replace(options, margin_points=planned)
    options.check()
    comparisons = tuple(gather(read_runs(folder), options.groups))
    computed: dict[Callable, pd.DataFrame] = {}
    results, tables = {}, {}
    for section in sections(options):
        if section.frame not in computed:
            computed[section.frame] = section.frame(comparisons)
        frame = results[section.name] = computed[section.frame]
        if section.table is not None and len(frame):
            tables[section.name] = section.table(frame, comparisons)
    missing = tuple(str(run.relative_to(folder)) for run in missing_runs(folder))
    return Contents(
        comparisons=comparisons,
        options=options,
        results=results,
        tables={name: table for name, table in tables.items() if table is not None},
        warnings=(
            *_unfinished(missing),
            *_gaps(comparisons),
            *_leakage(results["leakage"]),
            *_warnings(comparisons, results["contrasts"]),
        ),
        missing=missing,
        margin_fixed=planned == options.margin,
    )


def _unfinished(missing: Sequence[str]) -> tuple[str, ...]:
    """Returns that runs of a grid's plan are not there yet."""
    if not missing:
        return ()
    words = "1 run" if len(missing) == 1 else f"{len(missing)} runs"
    return (f"Not finished: {words} of the grid's plan ({few(missing)}).",)


def _gaps(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Returns which arms lack seeds; text-only runs, which several comparisons share, once."""
    found = dict.fromkeys(gap for comparison in comparisons for gap in comparison.gaps)
    return tuple(f"{gap}: it is compared on the seeds that both arms have." for gap in found)


def _leakage(frame: pd.DataFrame) -> Iterator[str]:
    """Yields what was found of leakage."""
    for row in frame[frame["found"] == "yes"].itertuples():
        yield f"Leakage on {row.dataset}: {row.check}: {row.detail}."


def _warnings(comparisons: Sequence[Comparison], contrasts: pd.DataFrame) -> Iterator[str]:
    """Yields what concerns the report as a whole."""
    if not len(contrasts):
        yield "No backbone has CLIP-IT and other runs: there is no headline comparison."
    if any(comparison.backbone == DEMO_BACKBONE for comparison in comparisons):
        yield (
            f"Runs with {DEMO_BACKBONE} are the demo's, on drawn images in BACH's layout: they say "
            "nothing about real tissue, and published numbers beside them are of real data."
        )
    unknown = [comparison.dataset for comparison in comparisons if comparison.clusters is None]
    if unknown:
        yield (
            f"No slide ids are known for {', '.join(dict.fromkeys(unknown))}: patches count as "
            "independent, and intervals are optimistic."
        )
    short = sorted({one.name for one in comparisons if len(one.replicates) < 5})
    if short:
        yield f"Fewer than 5 seeds: {few(short)}."
    runs = [run for comparison in comparisons for run in comparison.all_runs]
    lost = {run.path for run in runs if run.pairing is None and _is_paired(run)}
    if lost:
        yield (
            f"The pairing table of {len(lost)} runs is not where it was, or has changed since: "
            "runs on shuffled or random pairs cannot be told from others."
        )


def _is_paired(run: Run) -> bool:
    """Returns whether a run was trained with a pairing table."""
    reads_text = run.settings.get("model.distill_weight") != 0
    return run.method in (arms.TEXT_ONLY, *arms.RECIPES) and reads_text
