"""What the models decide: confusion matrices, flips, calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..metrics.scores import Calibration, Flips
from .style import LINES, MARKERS, PALETTE, TITLE_WIDTH, axes, clean, short, wrapped


def plot_confusion(
    matrix: ArrayLike, classes: Sequence[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws a confusion matrix, in percent of each true class, with the numbers in its squares.

    `matrix` is `scores.confusion`'s: samples by true class (rows) and predicted class.
    """
    ax = axes(ax, 3.6, 3.2)
    counts = np.asarray(matrix, dtype=float)
    sizes = counts.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)
    # Not seaborn's heatmap, which draws the whole figure once more for each of its panels.
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    few = len(classes) <= 4
    for (row, column), share in np.ndenumerate(shares):
        ax.text(
            column,
            row,
            f"{share:.1f}" if few else f"{share:.0f}",
            ha="center",
            va="center",
            color="white" if share > 55 else "black",
            in_layout=False,  # lies inside the axes: measuring it changes no layout
        )
    ax.set_xticks(range(len(classes)), [short(name) for name in classes], rotation=45, ha="right")
    ax.set_yticks(range(len(classes)), [short(name) for name in classes])
    ax.set(xlabel="predicted", ylabel="true (% of row)", title=wrapped(title, TITLE_WIDTH))
    return ax


def plot_flips(
    flips: Flips, classes: Sequence[str], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws by true class how many samples CLIP-IT rescues (right) and loses (left)."""
    ax = axes(ax, 3.6, 3.0)
    y = np.arange(len(classes))
    kinds = (("rescued", flips.rescued, 1, ""), ("lost", flips.lost, -1, "///"))
    for number, (name, counts, side, hatch) in enumerate(kinds):
        bars = ax.barh(
            y, side * counts, color=PALETTE[number], edgecolor="black", hatch=hatch, label=name
        )
        ax.bar_label(bars, [f"{count:.1f}" for count in counts], padding=2)
    widest = max(float(flips.rescued.max()), float(flips.lost.max()), 1.0)
    ax.set_xlim(-1.3 * widest, 1.3 * widest)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(y, [short(name) for name in classes])
    ax.set_ylim(len(classes) - 0.4, -1.3)  # room for the legend above the first class
    ax.legend(frameon=False, loc="upper center", ncols=2)
    return clean(ax, xlabel="flipped samples (mean over seeds)", title=title)


def plot_calibration(
    curves: Mapping[str, Calibration], ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws accuracy by confidence of each model, by its name in print, with the expected error."""
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
            label=f"{short(name)} (ECE {curve.ece:.3f})",
        )
    ax.legend(frameon=False)
    return clean(ax, xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
