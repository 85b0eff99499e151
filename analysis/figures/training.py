"""How training went: learning curves, and what it did to the two embeddings."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from clipit_eva.errors import InputError

from .style import COLORS, GREY, HATCHES, LINES, MARKERS, PALETTE, axes, clean, wrapped

OTHERS = tuple(color for color in PALETTE if color not in COLORS.values())
"""Colours of arms that are no method of their own."""


def plot_learning(
    frame: pd.DataFrame, quantity: str = "loss", ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draws one validation curve a run, coloured and dashed by arm.

    Args:
        frame: Columns `arm`, `label`, `replicate`, `quantity`, `step`, `value`, see
            `learning.learning_frame`.
        quantity: `loss` or `balanced accuracy`.
        ax: Where to draw; None means a new figure.
        title: Title.
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
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(0, -0.2))
    return clean(ax, xlabel="training step", ylabel=f"validation {quantity}", title=title)


def plot_similarity(
    vision_before: ArrayLike,
    vision_after: ArrayLike,
    text: ArrayLike,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draws how similar images and their paired reports are, before and after training.

    Args:
        vision_before: Projected image embeddings before training, [samples, dimensions].
        vision_after: The same after training.
        text: Embedding of each image's report, same shape.
        ax: Where to draw; None means a new figure.
        title: Title.

    Raises:
        InputError: Shapes that differ.
    """
    before, after, reports = _embeddings(vision_before, vision_after, text)
    values = (_cosine(before, reports), _cosine(after, reports))
    return _histograms(values, "cosine similarity of image and report", ax, title)


def plot_distance(
    vision_before: ArrayLike,
    vision_after: ArrayLike,
    text: ArrayLike,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draws the Euclidean distance of images and their paired reports, before and after training.

    Args:
        vision_before: Projected image embeddings before training, [samples, dimensions].
        vision_after: The same after training.
        text: Embedding of each image's report, same shape.
        ax: Where to draw; None means a new figure.
        title: Title.

    Raises:
        InputError: Shapes that differ.
    """
    before, after, reports = _embeddings(vision_before, vision_after, text)
    values = [np.linalg.norm(one - reports, axis=1) for one in (before, after)]
    return _histograms((values[0], values[1]), "distance of image and report", ax, title)


def _histograms(
    values: tuple[np.ndarray, np.ndarray], label: str, ax: Axes | None, title: str
) -> Axes:
    """Draws two histograms with shared bins and their means."""
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
    ax.legend(frameon=False, fontsize="small")
    return clean(ax, xlabel=label, ylabel="samples", title=title)


def _embeddings(*arrays: ArrayLike) -> list[np.ndarray]:
    """Returns embeddings as float64 of one shape [samples, dimensions].

    Raises:
        InputError: Shapes that differ or are no matrix.
    """
    values = [np.asarray(array, dtype=np.float64) for array in arrays]
    if values[0].ndim != 2 or len({value.shape for value in values}) > 1:
        shapes = ", ".join(str(value.shape) for value in values)
        raise InputError(f"embeddings have shapes {shapes}: give [samples, dimensions] of each")
    return values


def _cosine(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.maximum(norms, 1e-12)
