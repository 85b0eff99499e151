"""How figures look: colours that colour-blind readers tell apart, and marks that print in grey."""

import textwrap
from typing import Any

from matplotlib.axes import Axes

from .. import arms

COLORS = {arms.UNIMODAL: "#0072B2", arms.TEXT_ONLY: "#009E73", arms.CLIP_IT: "#D55E00"}
"""Colours of the methods, of Okabe and Ito's palette (2008, jfly.uni-koeln.de/color)."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of whatever else is told apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo")
LINES = ("-", "--", ":", "-.")
"""Told apart in grey, too: by place, as colours are."""

VERDICTS = {"better": "^", "worse": "v", "equivalent": "s", "inconclusive": "o"}
"""Markers of verdicts."""

GREY = "#555555"


def axes(ax: Axes | None, width: float = 5.0, height: float = 3.5) -> Axes:
    """Returns the axes given, or new ones of a figure of this size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def clean(ax: Axes, **labels: Any) -> Axes:
    """Sets labels (as `Axes.set`), removes the box, and returns the axes."""
    ax.set(**labels)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def wrapped(label: str, width: int = 36) -> str:
    """Returns a long label on several lines."""
    return textwrap.fill(label, width)
