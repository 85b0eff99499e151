"""What a report consists of: the one list from which its tables, figures and files are made."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.errors import InputError

from ..frames.ablation_frame import MARGIN_POINTS, ablation_frame
from ..frames.alignment_frame import alignment_frame
from ..frames.complementarity_frames import complementarity_by_class_frame, complementarity_frame
from ..frames.contrasts_frame import contrasts_frame
from ..frames.headline_frame import headline_frame
from ..frames.leakage_frame import leakage_frame
from ..frames.learning_frame import learning_frame
from ..frames.metrics_frame import metrics_by_class_frame, metrics_frame
from ..frames.planted_frame import planted_frame
from ..frames.scores_frame import scores_frame
from ..frames.secondary_frame import secondary_frame
from ..reading.study import Comparison
from ..significance.bootstrap import N_RESAMPLES, check_resamples
from ..tables.ablation_table import ablations
from ..tables.complementarity_tables import complementarity, complementarity_by_class
from ..tables.contrasts_table import contrasts, contrasts_by_backbone
from ..tables.leakage_table import leakage
from ..tables.metrics_tables import metrics, metrics_by_class
from ..tables.planted_table import planted
from ..tables.runs_table import runs
from ..tables.secondary_table import secondary
from ..tables.table import Table
from ..tables.table1 import table1
from . import checklist, panels, training_settings
from .panels import Drawing

Comparisons = Sequence[Comparison]


@dataclass(frozen=True)
class Options:
    """What a user may choose, before looking at results.

    Attributes:
        margin_points: Equivalence margin of the text's gain and of ablations, in points of
            balanced accuracy; None is the plan's, or else `MARGIN_POINTS`.
        n_resamples: Resamples of each bootstrap.
        thumbnails: Whether the page shows images of rescued and lost samples.
        report_text: Whether the page shows the reports paired with them.
        groups: CSV file that tells slides or patients of test images (`filename`, `group`).
    """

    margin_points: float | None = None
    n_resamples: int = N_RESAMPLES
    thumbnails: bool = False
    report_text: bool = False
    groups: Path | None = None

    @property
    def margin(self) -> float:
        """The margin that counts."""
        return MARGIN_POINTS if self.margin_points is None else self.margin_points

    def check(self) -> None:
        """Refuses a margin that is not above 0, and too few resamples.

        Raises:
            InputError: See above.
        """
        if not (np.isfinite(self.margin) and self.margin > 0):
            raise InputError(f"--margin {self.margin:g} must be above 0 (points)")
        check_resamples(self.n_resamples)


@dataclass(frozen=True)
class Section:
    """A part of the report. It is left out where its frame has no rows.

    Attributes:
        name: Name of its frame among the report's results.
        frame: Computes its numbers; sections that share a function share the frame.
        table: Makes its table of the frame; None (or a table of None) for no table.
        figures: Draws its figures from the frame; None for no figures.
        shown: Whether the page shows it at once; others are folded away, below.
    """

    name: str
    frame: Callable[[Comparisons], pd.DataFrame]
    table: Callable[[pd.DataFrame, Comparisons], Table | None] | None = None
    figures: Callable[[pd.DataFrame, Comparisons], Iterable[Drawing]] | None = None
    shown: bool = False


def sections(options: Options) -> tuple[Section, ...]:
    """Returns the sections of a report, in the order of its tables and of its figures."""
    n = options.n_resamples
    resampled = partial(secondary_frame, n_resamples=n)
    ablation = partial(ablation_frame, margin_points=options.margin)
    contrast = partial(contrasts_frame, margin_points=options.margin)
    plant = partial(planted_frame, margin_points=options.margin)
    return (
        Section("forest", contrast, None, panels.contrasts, shown=True),
        Section("headline", headline_frame, table1, shown=True),
        Section("ablations", ablation, ablations, shown=True),
        Section("complementarity", complementarity_frame, complementarity, shown=True),
        Section("fig3", complementarity_frame, None, panels.complementarity, shown=True),
        Section("calibration", headline_frame, None, panels.calibrations, shown=True),
        Section("metrics", metrics_frame, metrics, shown=True),
        Section("contrasts", contrast, contrasts),
        Section("by_backbone", contrast, contrasts_by_backbone),
        Section("ablations_figure", ablation, None, panels.forest),
        Section("planted", plant, planted, panels.planted),
        Section("by_class", complementarity_by_class_frame, complementarity_by_class),
        Section("metrics_by_class", metrics_by_class_frame, metrics_by_class),
        Section("decisions", headline_frame, None, panels.decisions),
        Section("learning", learning_frame, None, panels.learning),
        Section("alignment", alignment_frame, None, panels.alignment),
        Section("secondary", resampled, partial(secondary, n_resamples=n)),
        Section("leakage", leakage_frame, leakage),
        Section("runs", scores_frame, runs),
        Section("training_settings", training_settings.frame, training_settings.table),
        Section("checklist", checklist.frame, checklist.table),
    )
