"""The report's figures: panels of the plot functions, one figure a question.

Every public function takes a frame and the comparisons that it was computed from, and yields its
figures.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..figures.complementarity_figures import plot_complementarity
from ..figures.decision_figures import plot_calibration, plot_confusion, plot_flips
from ..figures.gain_figures import plot_contrasts, plot_forest, plot_replaced
from ..figures.training_figures import plot_alignment, plot_learning
from ..metrics.scores import calibration, confusion, flips
from ..reading import arms
from ..reading.study import Comparison
from .rescued import BASELINES

WIDTH = 5.6
"""Width of all figures in inches, so that the page shows all at one scale; two fit beside."""

Comparisons = Sequence[Comparison]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of the report: its name in files, and what it shows.

    The title is also read to those who do not see the figure.
    """

    name: str
    title: str
    figure: Figure


def contrasts(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws the contrasts of each dataset; single backbones where there are several."""
    groups = list(frame.groupby("dataset", sort=False))
    most = frame["backbone"].nunique() - 1
    figure, panels = grid(len(groups), WIDTH, 2.3 + 0.5 * (most if most > 1 else 0))
    for (dataset, rows), ax in zip(groups, panels, strict=True):
        several = rows["backbone"].nunique() > 2
        plot_contrasts(
            rows if several else rows.loc[rows["backbone"] == ""], ax, title=str(dataset)
        )
    yield Drawing("contrasts", "What of the gain is the text's, and what LoRA's", figure)


def complementarity(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws what text has right and vision wrong, beside chance: a panel a text-only arm."""
    groups = list(frame.groupby(["dataset", "arm"], sort=False))
    figure, panels = grid(len(groups), WIDTH, 3.0)
    for (where, rows), ax in zip(groups, panels, strict=True):
        dataset, arm = map(str, tuple(where))  # pyright: ignore[reportArgumentType]
        label = "" if arm == arms.TEXT_ONLY else f": {rows['label'].iloc[0]}"
        plot_complementarity(rows, ax, title=f"{dataset}{label}")
    title = (
        "Test samples that text has right and vision wrong, beside chance (as the paper's Fig. 3)"
    )
    yield Drawing("complementarity", title, figure)


def forest(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws the variants' differences from full CLIP-IT, with the margin."""
    most = frame.groupby(["dataset", "backbone"]).size().max()
    figure = _by_comparison(frame, plot_forest, WIDTH, 1.6 + 0.4 * most)
    yield Drawing("ablations", "Variants against full CLIP-IT, with the margin", figure)


def planted(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws the gain over no text by share of replaced pairs."""
    title = "Gain of CLIP-IT over its own no-text ablation, by share of replaced pairs"
    yield Drawing("replaced_pairs", title, _by_comparison(frame, plot_replaced, 2.8, 3.2))


def decisions(_: pd.DataFrame, comparisons: Comparisons) -> Iterator[Drawing]:
    """Draws confusion and flips of CLIP-IT against each baseline, means over backbones."""
    for baseline, words in BASELINES.items():
        prefix = "confusion" if baseline == arms.UNIMODAL else f"confusion_{baseline}"
        for dataset, mine in _by_dataset(comparisons, baseline):
            both = f"{words} and CLIP-IT" if baseline == arms.UNIMODAL else words
            title = f"{dataset}: confusion of {both}, and where CLIP-IT decides otherwise"
            if len(mine) > 1:
                title += f" (means over {len(mine)} backbones)"
            yield Drawing(f"{prefix}_{slug(dataset)}", title, _confusion(mine, baseline))


def calibrations(_: pd.DataFrame, comparisons: Comparisons) -> Iterator[Drawing]:
    """Draws how often unimodal and CLIP-IT are right by how sure they are."""
    for dataset, mine in _by_dataset(comparisons, arms.UNIMODAL):
        title = f"{dataset}: calibration, with the expected calibration error (seeds pooled)"
        yield Drawing(f"calibration_{slug(dataset)}", title, _calibration(mine))


def learning(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws the learning curves of each dataset: backbones below, quantities beside each other."""
    for dataset, mine in frame.groupby("dataset", sort=False):
        quantities = list(dict.fromkeys(mine["quantity"]))
        backbones = list(mine.groupby("backbone", sort=False))
        count = len(quantities)
        figure, panels = grid(count * len(backbones), 2.8, 3.0, columns=count)
        pairs = [(*backbone, quantity) for backbone in backbones for quantity in quantities]
        for (backbone, rows, quantity), ax in zip(pairs, panels, strict=True):
            plot_learning(rows, quantity, ax, title=str(backbone))
        yield Drawing(f"learning_{slug(str(dataset))}", f"{dataset}: learning curves", figure)


def alignment(frame: pd.DataFrame, _: Comparisons) -> Iterator[Drawing]:
    """Draws how close images and their reports are before and after training."""
    groups = list(frame.groupby(["dataset", "backbone"], sort=False))
    figure, panels = grid(2 * len(groups), 2.8, 3.0)
    measures = (("cosine", "cosine similarity"), ("distance", "Euclidean distance"))
    for place, (where, rows) in enumerate(groups):
        dataset, backbone = map(str, tuple(where))  # pyright: ignore[reportArgumentType]
        for (name, words), ax in zip(measures, panels[2 * place : 2 * place + 2], strict=True):
            before, after = rows[f"{name}_before"], rows[f"{name}_after"]
            plot_alignment(before, after, words, ax, title=f"{backbone} on {dataset}")
    title = (
        "Similarity and distance of projected image and paired report, before and after training "
        "(training samples, all seeds of CLIP-IT)"
    )
    yield Drawing("alignment", title, figure)


def _by_dataset(comparisons: Comparisons, baseline: str) -> list[tuple[str, list[Comparison]]]:
    """Returns a baseline and CLIP-IT, on the seeds that both have, by dataset."""
    found: dict[str, list[Comparison]] = {}
    for one in comparisons:
        if one.has(baseline, arms.CLIP_IT):
            found.setdefault(one.dataset, []).append(one.between(baseline, arms.CLIP_IT))
    return list(found.items())


def _confusion(comparisons: Comparisons, baseline: str) -> Figure:
    """Draws the confusion and the flips, over all backbones; CLIP-IT's beside unimodal."""
    classes, targets = comparisons[0].samples.classes, comparisons[0].targets
    shown = {baseline: BASELINES[baseline]}
    if baseline == arms.UNIMODAL:
        shown[arms.CLIP_IT] = arms.LABELS[arms.CLIP_IT]
    predictions = {
        arm: np.concatenate([one.predictions(arm) for one in comparisons])
        for arm in (baseline, arms.CLIP_IT)
    }
    width, height = (WIDTH, 3.8) if len(classes) > 4 else (WIDTH / 2, 2.8)
    figure, (*matrices, last) = grid(len(shown) + 1, width, height)
    for (arm, name), ax in zip(shown.items(), matrices, strict=True):
        plot_confusion(confusion(predictions[arm], targets, len(classes)), classes, ax, title=name)
    changed = flips(predictions[baseline], predictions[arms.CLIP_IT], targets, len(classes))
    plot_flips(changed, classes, last, title="flips")
    return figure


def _calibration(comparisons: Comparisons) -> Figure:
    """Draws both arms' calibration, a panel a backbone."""
    figure, panels = grid(len(comparisons), 2.8, 3.0)
    for comparison, ax in zip(comparisons, panels, strict=True):
        curves = {
            arms.LABELS[name]: calibration(comparison.probabilities(name), comparison.targets)
            for name in (arms.UNIMODAL, arms.CLIP_IT)
        }
        plot_calibration(curves, ax, title=comparison.backbone)
    return figure


def _by_comparison(
    frame: pd.DataFrame,
    plot: Callable[..., Axes],
    width: float,
    height: float,
) -> Figure:
    """Draws the rows of each dataset and backbone into a panel of their own."""
    groups = list(frame.groupby(["dataset", "backbone"], sort=False))
    figure, panels = grid(len(groups), width, height)
    for (_, rows), ax in zip(groups, panels, strict=True):
        first = rows.iloc[0]
        plot(rows, ax, title=f"{first['backbone']} on {first['dataset']}")
    return figure


def grid(n: int, width: float, height: float, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Returns a figure, `WIDTH` wide, of n panels, without pyplot's global state.

    Panels are at least `width` wide, `height` high (inches), and at most `columns` beside.
    """
    columns = max(1, min(columns, n, int(WIDTH // width)))
    rows = ceil(n / columns)
    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[n:]:
        unused.remove()
    return figure, grid[:n]


def slug(name: str) -> str:
    """Returns a name as it may stand in a file's name."""
    return "".join(letter if letter.isalnum() else "_" for letter in name).lower()
