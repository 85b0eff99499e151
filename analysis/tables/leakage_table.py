"""The table of what is known about leakage."""

from collections.abc import Sequence

import pandas as pd

from ..reading.study import Comparison
from . import layout
from .table import Table

COLUMNS = (
    layout.words("Dataset", "dataset"),
    layout.words("Looked for", "check"),
    layout.words("Found", "found"),
    layout.words("What is known", "detail"),
)


def leakage(frame: pd.DataFrame, _: Sequence[Comparison] = ()) -> Table:
    """Returns what the checks for leakage found."""
    before = (
        "Copies of images are found by a small grey picture of each, then by pixels; turned, "
        "mirrored and blank images are not looked for.",
    )
    return layout.lay_out("leakage", "Leakage", frame, COLUMNS, before=before)
