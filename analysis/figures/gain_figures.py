"""Differences with their intervals: contrasts, seeds one by one, ablations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..reading import arms
from . import style
from .style import COLORS, GREY, LINES, MARKERS, PALETTE, axes, clean, points, short, wrapped

CONTRASTS = {
    "method": "method:\nCLIP-IT - unimodal",
    "text": "text:\nCLIP-IT - no text",
    "pairs": "pairs:\nCLIP-IT - shuffled pairs",
    "lora_and_layers": "LoRA and layers:\nno text - unimodal",
}
"""Labels of contrasts, by their names in `contrasts_frame`."""


def plot_contrasts(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws the contrasts of one dataset with their 95% intervals: the mean, and each backbone.

    A filled marker has a p below 0.05 (adjusted where the contrast is in a family); an interval
    that is refused is not drawn. `frame` is `contrasts_frame`'s: columns `backbone` (empty: the
    mean), `contrast`, `difference_points`, `low_points`, `high_points`, `p`, `p_holm`.
    """
    ax = axes(ax)
    names = list(dict.fromkeys(frame["contrast"]))
    frame = frame.dropna(subset=["difference_points"])
    backbones = list(dict.fromkeys(frame["backbone"]))
    ax.axvline(0, color=GREY, linewidth=1)
    for number, backbone in enumerate(backbones):
        mine = frame[frame["backbone"] == backbone]
        offset = (number - (len(backbones) - 1) / 2) * 0.7 / len(backbones)
        y = np.array([names.index(name) for name in mine["contrast"]]) + offset
        color = PALETTE[(number - 1) % len(PALETTE)] if backbone else "black"
        marker = MARKERS[number % len(MARKERS)]
        x, low, high, raw, holm = (
            np.asarray(mine[name], dtype=float)
            for name in ("difference_points", "low_points", "high_points", "p", "p_holm")
        )
        ax.hlines(y, low, high, color=color, linewidth=1.5 if backbone else 2.5)
        p = np.where(np.isnan(holm), raw, holm)
        points(ax, x, y, p < 0.05, marker=marker, markersize=6, color=color)
        points(ax, x, y, ~(p < 0.05), False, marker=marker, markersize=6, color=color)
        label = short(backbone) if backbone else "mean over backbones"
        if len(backbones) > 1:
            ax.plot([], [], marker=marker, color=color, markerfacecolor="white", label=label)
    ax.plot([], [], marker="o", linestyle="", color="black", label="filled: p < 0.05")
    ax.set_yticks(range(len(names)), [CONTRASTS[name] for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    style.legend_below(ax)
    return clean(ax, xlabel="points of balanced accuracy, 95% interval", title=title)


def plot_slopes(
    unimodal: ArrayLike,
    clip_it: ArrayLike,
    seeds: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draws one line a seed from unimodal to CLIP-IT; dashed where it falls.

    Scores are in percent, [seeds]; without names of the `seeds` the lines have none.
    """
    ax = axes(ax, 2.6, 3.0)
    first, second = np.asarray(unimodal, dtype=float), np.asarray(clip_it, dtype=float)
    for place, (low, high) in enumerate(zip(first, second, strict=True)):
        rises = high >= low
        ax.plot(
            [0, 1],
            [low, high],
            color=COLORS[arms.CLIP_IT] if rises else GREY,
            linestyle=LINES[0] if rises else LINES[1],
            marker="o",
            markersize=4,
            label=None if seeds is None else short(seeds[place]),
        )
    ax.plot([0, 1], [first.mean(), second.mean()], color="black", linewidth=3, label="mean")
    ax.set_xticks([0, 1], ["unimodal", "CLIP-IT"])
    ax.set_xlim(-0.25, 1.25)
    return clean(ax, ylabel="balanced accuracy (%)", title=title)


def plot_forest(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws each variant's difference from full CLIP-IT with its interval, margin and verdict.

    `frame` is `ablation_frame`'s: columns `label`, `difference_points`, `low_points`,
    `high_points`, `verdict`, `margin_points`.
    """
    ax = axes(ax, 6.0, 1.2 + 0.4 * len(frame))
    margin = float(frame["margin_points"].iloc[0])
    ax.axvspan(-margin, margin, color="#DDDDDD", zorder=0, label=f"margin ±{margin:g} points")
    ax.axvline(0, color=GREY, linewidth=1)
    y = np.arange(len(frame))
    ax.hlines(y, frame["low_points"], frame["high_points"], color="black", linewidth=1.5)
    for name, marker in style.VERDICTS.items():
        chosen = (frame["verdict"] == name).to_numpy()
        if chosen.any():
            x, filled = frame["difference_points"], name != "inconclusive"
            look = {"marker": marker, "markersize": 7, "color": "black", "label": name}
            points(ax, x, y, chosen, filled, **look)
    rows = zip(frame["label"], frame["verdict"], strict=True)
    ax.set_yticks(y, [wrapped(f"{label}: {verdict}") for label, verdict in rows])
    ax.set_ylim(len(frame) - 0.5, -0.5)
    style.legend_below(ax)
    return clean(ax, xlabel="variant - full CLIP-IT (points, 95% interval)", title=title)


def plot_replaced(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws the gain over the no-text ablation against the share of replaced pairs.

    A line a setting. A filled marker has an interval that does not cover zero; one that is refused
    is not drawn. `frame` is `planted_frame`'s: columns `setting`, `replaced_share`,
    `difference_points`, `low_points`, `high_points`, `covers_zero`.
    """
    ax = axes(ax, 4.0, 3.2)
    ax.axhline(0, color=GREY, linewidth=1)
    settings = list(frame.groupby("setting", sort=False))
    for place, (setting, rows) in enumerate(settings):
        color = PALETTE[(place + 1) % len(PALETTE)]
        x = 100 * rows["replaced_share"].astype(float) + 1.5 * place  # bars beside each other
        gain, low, high = (
            rows[f"{name}_points"].astype(float) for name in ("difference", "low", "high")
        )
        ax.vlines(x, low, high, color=color)
        ax.plot(x, gain, color=color, linestyle=LINES[(place + 1) % len(LINES)], linewidth=1)
        clear = (rows["covers_zero"] == False).to_numpy()  # noqa: E712 (None: no interval)
        for chosen, words in ((clear, "interval without 0"), (~clear, "covers 0, or refused")):
            if chosen.any():
                label = f"{wrapped(str(setting) or 'CLIP-IT')}: {words}" if settings[1:] else words
                look = {"marker": "o", "markersize": 7, "color": color, "label": label}
                points(ax, x, gain, chosen, chosen is clear, **look)
    ax.set_xlim(-5, 107)
    ax.legend(frameon=False)
    x_label, y_label = "pairs replaced at random (%)", "CLIP-IT - no text (points)"
    return clean(ax, xlabel=x_label, ylabel=y_label, title=title)
