"""Figures of pairing tables. Every function draws on the axes it is given."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..figures.style import LINES
from .diagnostics import TOP_REPORTS

_BINS = 50


def plot_similarities(tables: Mapping[str, pd.DataFrame], ax: Axes) -> None:
    """Draws the histogram of the best reports' cosines, one line a table (controls have none)."""
    values = {
        name: table.loc[table["rank"] == 0, "similarity"].dropna() for name, table in tables.items()
    }
    shown = {name: value for name, value in values.items() if len(value)}
    if shown:
        bins = np.histogram_bin_edges(np.concatenate(list(shown.values())), _BINS)
        for position, (name, value) in enumerate(shown.items()):
            line = LINES[position % len(LINES)]
            ax.hist(value, bins.tolist(), histtype="step", density=True, label=name, linestyle=line)
        ax.legend(frameon=False)
    ax.set(xlabel="cosine similarity of image and best report", ylabel="density")


def plot_occurrences(counts: Mapping[str, pd.Series], ax: Axes) -> None:
    """Draws how often each report is chosen (`diagnostics.occurrences`), one line a table."""
    for position, (name, count) in enumerate(counts.items()):
        used, line = np.asarray(count[count > 0]), LINES[position % len(LINES)]
        ax.plot(np.arange(1, len(used) + 1), used, label=name, linestyle=line)
    ax.axvline(TOP_REPORTS, color="grey", linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="report, by use", ylabel="images that chose it")
    ax.legend(frameon=False)


def plot_agreement(agreement: pd.DataFrame, ax: Axes) -> None:
    """Draws the share of images with the same best report (`diagnostics.agreements`)."""
    ax.imshow(agreement.to_numpy(float), vmin=0, vmax=1, cmap="Blues")
    names = agreement.index.tolist()
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
    ax.set_yticks(range(len(names)), names)
    for (row, column), value in np.ndenumerate(agreement.to_numpy(float)):
        color = "white" if value > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    ax.set_title("share of images with the same best report")
