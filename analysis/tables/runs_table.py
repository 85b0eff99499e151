"""The table of runs."""

from collections.abc import Sequence

import pandas as pd

from ..reading.study import Comparison
from . import layout
from .table import Table

COLUMNS = (
    *layout.WHERE,
    layout.words("Arm", "label"),
    layout.words("Recipe", "recipe"),
    layout.words("Seed", "replicate"),
    layout.numbers("balanced accuracy %", "balanced_accuracy_percent"),
    layout.numbers("accuracy %", "accuracy_percent"),
    layout.numbers("ECE", "ece", 3),
    layout.words("config digest", "config_digest"),
    layout.words("checkpoint digest", "checkpoint"),
    layout.words("run folder", "run"),
)


def runs(frame: pd.DataFrame, _: Sequence[Comparison] = ()) -> Table:
    """Returns every run: its scores and where they come from."""
    before = (
        "Every number of this report comes from these runs' predictions tables. Digests: first 12 "
        "hex digits of SHA-256. Recipe: whose CLIP-IT was trained by, and in what the run differs. "
        "ECE: expected calibration error, 15 bins.",
    )
    return layout.lay_out("runs", "Runs", frame, COLUMNS, before=before)
