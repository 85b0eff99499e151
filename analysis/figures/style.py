"""How figures look: colours that colour-blind readers tell apart, and marks that print in grey."""

import textwrap
from typing import Any

import seaborn
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from ..reading import arms

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

TITLE_WIDTH = 28
"""Letters in a line of a panel's title."""


def axes(ax: Axes | None, width: float = 5.0, height: float = 3.5) -> Axes:
    """Returns the axes given, or new ones of a figure of this size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def clean(ax: Axes, title: str = "", **labels: Any) -> Axes:
    """Sets title and labels (as `Axes.set`), removes the box, and returns the axes."""
    ax.set(title=wrapped(title, TITLE_WIDTH), **labels)
    seaborn.despine(ax=ax)
    return ax


def legend_below(ax: Axes) -> None:
    """Puts the legend below the axis' label, where it hides nothing and takes no width."""
    below = offset_copy(ax.transAxes, fig=ax.get_figure(root=True), y=-0.45, units="inches")
    options = {"frameon": False, "borderaxespad": 0.0, "ncols": 2}
    ax.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=below, **options)


def points(ax: Axes, x: Any, y: Any, chosen: Any, filled: bool = True, **style: Any) -> None:
    """Draws those of the points [n] that are chosen, boolean [n], as markers full or hollow.

    `style` is as for `Axes.plot`; its `color` is the edge's, and inside where a marker is filled.
    """
    fill = style["color"] if filled else "white"
    ax.plot(x[chosen], y[chosen], linestyle="", markerfacecolor=fill, **style)


def wrapped(label: str, width: int = 36, lines: int = 3) -> str:
    """Returns a name from the data as a label: on few lines, and no formula to matplotlib."""
    rows = textwrap.wrap(label, width) or [""]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1][: width - 3] + "..."]
    return "\n".join(rows).replace("$", r"\$")


def short(name: str) -> str:
    """Returns the name of a class or backbone as it fits beside a panel."""
    return wrapped(name, 20, 2)
