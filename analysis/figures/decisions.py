"""What the models decide: confusion matrices, flips, calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..scores import Calibration, Flips
from .style import LINES, MARKERS, PALETTE, axes, clean


def plot_confusion(
    matrix: ArrayLike, classes: Sequence[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws a confusion matrix, in percent of each true class, with the numbers in its cells.

    Args:
        matrix: Samples by true class (rows) and predicted class, see `scores.confusion`.
        classes: Names of the classes.
        ax: Where to draw; None means a new figure.
        title: Title.
    """
    ax = axes(ax, 3.6, 3.2)
    counts = np.asarray(matrix, dtype=float)
    sizes = counts.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)
    sns.heatmap(
        shares,
        annot=True,
        fmt=".1f" if len(classes) <= 4 else ".0f",
        annot_kws={"fontsize": 8 if len(classes) <= 4 else 6},
        cmap="Blues",
        vmin=0,
        vmax=100,
        cbar=False,
        xticklabels=list(classes),
        yticklabels=list(classes),
        linewidths=0.5,
        ax=ax,
    )
    ax.tick_params(axis="x", rotation=45)
    ax.tick_params(axis="y", rotation=0)
    ax.set(xlabel="predicted", ylabel="true (% of row)", title=title)
    return ax


def plot_flips(
    flips: Flips, classes: Sequence[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws by true class how many samples CLIP-IT rescues (right) and loses (left).

    Args:
        flips: Of `scores.flips`.
        classes: Names of the classes.
        ax: Where to draw; None means a new figure.
        title: Title.
    """
    ax = axes(ax, 3.6, 3.0)
    y = np.arange(len(classes))
    kinds = (("rescued", flips.rescued, 1, ""), ("lost", flips.lost, -1, "///"))
    for number, (name, counts, side, hatch) in enumerate(kinds):
        bars = ax.barh(
            y, side * counts, color=PALETTE[number], edgecolor="black", hatch=hatch, label=name
        )
        ax.bar_label(bars, [f"{count:.1f}" for count in counts], padding=2, fontsize=7)
    widest = max(float(flips.rescued.max()), float(flips.lost.max()), 1.0)
    ax.set_xlim(-1.3 * widest, 1.3 * widest)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(y, list(classes))
    ax.invert_yaxis()
    ax.legend(frameon=False, fontsize="small")
    return clean(ax, xlabel="samples flipped by CLIP-IT (mean over seeds)", title=title)


def plot_calibration(
    curves: Mapping[str, Calibration], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws accuracy by confidence, with the expected calibration error in the legend.

    Args:
        curves: Calibration of each model, by its name in print; see `scores.calibration`.
        ax: Where to draw; None means a new figure.
        title: Title.
    """
    ax = axes(ax, 3.6, 3.4)
    ax.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="perfect")
    for number, (name, curve) in enumerate(curves.items()):
        filled = curve.count > 0
        ax.plot(
            curve.confidence[filled],
            curve.accuracy[filled],
            color=PALETTE[number % len(PALETTE)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linestyle=LINES[number % len(LINES)],
            label=f"{name} (ECE {curve.ece:.3f})",
        )
    ax.legend(frameon=False, fontsize="small")
    return clean(ax, xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
