"""How training went: learning curves, and what it did to the two embeddings."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from clipit_eva.errors import InputError

from . import style
from .style import COLORS, GREY, HATCHES, LINES, MARKERS, PALETTE, axes, clean, wrapped

OTHERS = tuple(color for color in PALETTE if color not in COLORS.values())
"""Colours of arms that are no method of their own."""


def plot_learning(
    frame: pd.DataFrame, quantity: str = "loss", ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws one validation curve a run, coloured and dashed by arm.

    `frame` is `learning_frame`'s: columns `arm`, `label`, `replicate`, `quantity`, `step`, `value`;
    `quantity` is `loss` or `balanced accuracy`.
    """
    ax = axes(ax)
    chosen = frame.loc[frame["quantity"] == quantity]
    for number, ((arm, label), runs) in enumerate(chosen.groupby(["arm", "label"], sort=False)):
        for place, (_, curve) in enumerate(runs.groupby("replicate", sort=False)):
            ax.plot(
                curve["step"],
                curve["value"],
                color=COLORS.get(arm, OTHERS[number % len(OTHERS)]),
                linestyle=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=3,
                alpha=0.8,
                label=wrapped(label) if place == 0 else None,  # one entry an arm
            )
    style.legend_below(ax)
    return clean(ax, xlabel="training step", ylabel=f"validation {quantity}", title=title)


def plot_alignment(
    before: ArrayLike,
    after: ArrayLike,
    measure: str = "cosine similarity",
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draws how close images and their paired reports are before and after training.

    Given is the closeness of each image's projected embedding and its report's, [samples], and in
    words what is measured: `cosine similarity` or `Euclidean distance`.

    Raises:
        InputError: Not the same samples before and after.
    """
    values = [np.asarray(one, dtype=np.float64) for one in (before, after)]
    if values[0].ndim != 1 or values[0].shape != values[1].shape:
        shapes = " and ".join(str(one.shape) for one in values)
        raise InputError(f"closeness has shapes {shapes}: give [samples] before and after")
    ax = axes(ax)
    bins = np.histogram_bin_edges(np.concatenate(values), bins=30)
    names = ("before training", "after training")
    for number, (name, one) in enumerate(zip(names, values, strict=True)):
        ax.hist(
            one,
            bins=bins.tolist(),
            alpha=0.6,
            color=PALETTE[number],
            edgecolor="black",
            hatch=HATCHES[number],
            label=f"{name} (mean {one.mean():.3f})",
        )
        ax.axvline(float(one.mean()), color=GREY, linestyle=LINES[number])
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])  # room for the legend above the bars
    ax.legend(frameon=False, loc="upper left")
    return clean(ax, xlabel=f"{measure} of image and report", ylabel="samples", title=title)
