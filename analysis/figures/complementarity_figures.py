"""The paper's Fig. 3: what text has right and vision wrong, beside what chance gives."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from .style import COLORS, axes, clean, short


def plot_complementarity(frame: pd.DataFrame, ax: Axes | None = None, title: str = "") -> Axes:
    """Draws the count of each backbone as a bar, and its chance baseline as a line across it.

    `frame` is `complementarity_frame`'s, of one dataset, one row a backbone: columns `backbone`,
    `count_mean`, `count_sd` (NaN with one seed), `count_by_chance`.
    """
    ax = axes(ax)
    place = np.arange(len(frame))
    sd = frame["count_sd"].astype(float).fillna(0.0)
    ax.bar(
        place,
        frame["count_mean"],
        yerr=sd if (sd > 0).any() else None,
        capsize=3,
        width=0.6,
        color=COLORS["text_only"],
        edgecolor="black",
        hatch="///",
        label="observed (mean ± SD over seeds)",
    )
    ax.hlines(
        frame["count_by_chance"],
        place - 0.4,
        place + 0.4,
        color="black",
        linewidth=2,
        linestyle="--",
        label="by chance (independent errors within class)",
    )
    ax.set_xticks(place, [short(name) for name in frame["backbone"]], rotation=30, ha="right")
    ax.set_ylim(0, 1.35 * max(frame["count_mean"].max(), frame["count_by_chance"].max(), 1))
    ax.legend(frameon=False, loc="upper left")
    return clean(ax, ylabel="test samples:\ntext right, vision wrong", title=title)
