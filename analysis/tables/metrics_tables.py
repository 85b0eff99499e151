"""The tables of discrimination and calibration: of each arm and contrast, and of each class."""

from collections.abc import Sequence

import pandas as pd

from ..frames.metrics_frame import CLASS_METRICS, METRICS
from ..reading.study import Comparison
from . import layout
from .contrasts_table import NAMES
from .layout import Column, Row, lay_out
from .table import DAGGER, NONE, Footnotes, Table

TITLES = {
    "auroc": "AUROC",
    "macro_f1": "macro F1",
    "brier": "Brier",
    "ece": "ECE",
    "ece_scaled": "ECE, scaled",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}

_LABEL = Column("Arm or contrast", lambda row, _: str(NAMES.get(row["label"], row["label"])))
_INTERVALS = (
    "In brackets 95% intervals for new seeds and new samples at once; in rows of contrasts "
    "differences. Nothing here is tested."
)


def metrics(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns discrimination and calibration of each arm and contrast."""
    before = (
        _INTERVALS,
        "AUROC and F1: mean over classes, one against the rest. Brier: squared distance, summed "
        "over classes (halved for two). ECE: expected calibration error, 15 bins; its interval is "
        "too narrow near 0. Scaled: after temperature scaling (T, mean over seeds) fitted on the "
        "validation samples; a dash where runs kept no validation predictions.",
    )
    columns = (
        *layout.WHERE,
        _LABEL,
        *map(_score, METRICS),
        layout.numbers("T", "temperature"),
    )
    title = "Discrimination and calibration"
    return lay_out("metrics", title, frame, columns, comparisons, before=before)


def metrics_by_class(frame: pd.DataFrame, comparisons: Sequence[Comparison]) -> Table:
    """Returns sensitivity and specificity of each class."""
    columns = (
        *layout.WHERE,
        _LABEL,
        layout.words("Class", "class"),
        layout.numbers("N", "n_samples", 0),
        *map(_score, CLASS_METRICS),
    )
    before = (_INTERVALS, "Of each class against the rest; N: test samples of the class.")
    title = "Sensitivity and specificity of each class"
    return lay_out("metrics_by_class", title, frame, columns, comparisons, before=before)


def _score(metric: str) -> Column:
    """Returns the column of a score with its interval."""

    def text(row: Row, footnotes: Footnotes) -> str:
        if pd.isna(row[metric]):
            return NONE
        value = f"{row[metric]:{'+' if row['is_contrast'] else ''}.3f}"
        if row[f"{metric}_refused"]:
            return f"{value} {footnotes.mark(row[f'{metric}_refused'])}"
        interval = f"[{row[f'{metric}_low']:.3f}, {row[f'{metric}_high']:.3f}]"
        return f"{value} {interval}" + (DAGGER if row["mark"] else "")

    return Column(f"{TITLES[metric]} [95% CI]", text, metric)
