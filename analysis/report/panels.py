"""The report's figures: panels of the plot functions, one figure a question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..figures.complementarity_figures import plot_complementarity
from ..figures.decision_figures import plot_calibration, plot_confusion, plot_flips
from ..figures.gain_figures import plot_forest, plot_gains, plot_replaced, plot_slopes
from ..figures.training_figures import plot_alignment, plot_learning
from ..metrics.scores import balanced_accuracy, calibration, confusion, flips
from ..reading import arms
from ..reading.study import Comparison
from .content import Study

COLUMNS = 3
"""Panels beside each other."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure of the report.

    Attributes:
        name: Name in files.
        title: What it shows; also read to those who do not see it.
        figure: The figure.
    """

    name: str
    title: str
    figure: Figure


def drawings(study: Study) -> Iterator[Drawing]:
    """Yields the figures for which there are data."""
    paired = [
        comparison
        for comparison in study.comparisons
        if comparison.has(arms.UNIMODAL, arms.CLIP_IT)
    ]
    if paired:
        yield _gains(study)
        yield _slopes(paired)
    if len(study.complementarity):
        yield _complementarity(study)
    if len(study.ablations):
        yield _forest(study)
    if len(study.planted):
        yield _planted(study)
    for dataset in dict.fromkeys(comparison.dataset for comparison in paired):
        mine = [comparison for comparison in paired if comparison.dataset == dataset]
        yield _confusion(mine, dataset)
        yield _calibration(mine, dataset)
    for dataset in dict.fromkeys(study.learning["dataset"]):
        yield _learning(study, str(dataset))
    if len(study.alignment):
        yield _alignment(study)


def _gains(study: Study) -> Drawing:
    backbones = study.headline["backbone"].nunique()
    figure, (ax,) = _grid(1, 7.5, 1.6 + 0.55 * backbones)
    plot_gains(study.headline, ax)
    return Drawing("gains", "Gain of CLIP-IT over unimodal, by backbone and dataset", figure)


def _slopes(comparisons: Sequence[Comparison]) -> Drawing:
    figure, panels = _grid(len(comparisons), 2.6, 2.6)
    for comparison, ax in zip(comparisons, panels, strict=True):
        one, two = (
            100 * balanced_accuracy(comparison.predictions(name), comparison.targets)
            for name in (arms.UNIMODAL, arms.CLIP_IT)
        )
        plot_slopes(one, two, ax=ax, title=f"{comparison.backbone} on {comparison.dataset}")
    title = "Each seed from unimodal to CLIP-IT (dashed: falls; black: mean)"
    return Drawing("slopes", title, figure)


def _complementarity(study: Study) -> Drawing:
    groups = list(study.complementarity.groupby(["dataset", "arm"], sort=False))
    figure, panels = _grid(len(groups), 4.0, 3.6)
    for (where, rows), ax in zip(groups, panels, strict=True):
        dataset, arm = map(str, tuple(where))  # pyright: ignore[reportArgumentType]
        label = "" if arm == arms.TEXT_ONLY else f": {rows['label'].iloc[0]}"
        plot_complementarity(rows, ax, title=f"{dataset}{label}")
    title = (
        "Test samples that text has right and vision wrong, beside chance (as the paper's Fig. 3)"
    )
    return Drawing("complementarity", title, figure)


def _forest(study: Study) -> Drawing:
    groups = list(study.ablations.groupby(["dataset", "backbone"], sort=False))
    most = max(len(rows) for _, rows in groups)
    figure, panels = _grid(len(groups), 8.0, 1.4 + 0.4 * most, columns=1)
    for (where, rows), ax in zip(groups, panels, strict=True):
        dataset, backbone = map(str, tuple(where))  # pyright: ignore[reportArgumentType]
        plot_forest(rows, ax, title=f"{backbone} on {dataset}")
    return Drawing("ablations", "Variants against full CLIP-IT, with the margin", figure)


def _planted(study: Study) -> Drawing:
    groups = list(study.planted.groupby(["dataset", "backbone"], sort=False))
    figure, panels = _grid(len(groups), 3.6, 3.2)
    for (where, rows), ax in zip(groups, panels, strict=True):
        dataset, backbone = map(str, tuple(where))  # pyright: ignore[reportArgumentType]
        plot_replaced(rows, ax, title=f"{backbone} on {dataset}")
    title = "Gain of CLIP-IT over its own no-text ablation, by share of replaced pairs"
    return Drawing("replaced_pairs", title, figure)


def _confusion(comparisons: Sequence[Comparison], dataset: str) -> Drawing:
    size = 2.9 if len(comparisons[0].samples.classes) <= 4 else 3.8
    figure, panels = _grid(3 * len(comparisons), size, size)
    for place, comparison in enumerate(comparisons):
        classes = comparison.samples.classes
        one, two = (comparison.predictions(name) for name in (arms.UNIMODAL, arms.CLIP_IT))
        first, second, third = panels[3 * place : 3 * place + 3]
        for name, predictions, ax in (("unimodal", one, first), ("CLIP-IT", two, second)):
            matrix = confusion(predictions, comparison.targets, len(classes))
            plot_confusion(matrix, classes, ax, title=f"{comparison.backbone}: {name}")
        changed = flips(one, two, comparison.targets, len(classes))
        plot_flips(changed, classes, third, title=f"{comparison.backbone}: flips")
    title = f"{dataset}: confusion of unimodal and CLIP-IT, and where CLIP-IT flips decisions"
    return Drawing(f"confusion_{_slug(dataset)}", title, figure)


def _calibration(comparisons: Sequence[Comparison], dataset: str) -> Drawing:
    figure, panels = _grid(len(comparisons), 3.2, 3.2)
    for comparison, ax in zip(comparisons, panels, strict=True):
        curves = {
            arms.LABELS[name]: calibration(comparison.probabilities(name), comparison.targets)
            for name in (arms.UNIMODAL, arms.CLIP_IT)
        }
        plot_calibration(curves, ax, title=comparison.backbone)
    title = f"{dataset}: calibration, with the expected calibration error (seeds pooled)"
    return Drawing(f"calibration_{_slug(dataset)}", title, figure)


def _learning(study: Study, dataset: str) -> Drawing:
    mine = study.learning.loc[study.learning["dataset"] == dataset]
    quantities = list(dict.fromkeys(mine["quantity"]))
    backbones = list(dict.fromkeys(mine["backbone"]))
    figure, panels = _grid(
        len(quantities) * len(backbones), 4.0, 3.0, columns=max(len(quantities), 1)
    )
    pairs = [(backbone, quantity) for backbone in backbones for quantity in quantities]
    for (backbone, quantity), ax in zip(pairs, panels, strict=True):
        rows = mine.loc[mine["backbone"] == backbone]
        plot_learning(rows, str(quantity), ax, title=str(backbone))
    return Drawing(f"learning_{_slug(dataset)}", f"{dataset}: learning curves", figure)


def _alignment(study: Study) -> Drawing:
    groups = list(study.alignment.groupby(["dataset", "backbone"], sort=False))
    figure, panels = _grid(2 * len(groups), 4.0, 3.0, columns=2)
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
    return Drawing("alignment", title, figure)


def _grid(n: int, width: float, height: float, columns: int = COLUMNS) -> tuple[Figure, list[Axes]]:
    """Returns a figure of n panels of some size in inches, without pyplot's global state."""
    columns = min(columns, n)
    rows = ceil(n / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[n:]:
        unused.remove()
    return figure, grid[:n]


def _slug(name: str) -> str:
    """Returns a name as it may stand in a file's name."""
    return "".join(letter if letter.isalnum() else "_" for letter in name).lower()
