"""Which samples CLIP-IT rescues and which it loses: the rows of the page's browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics.scores import votes
from ..reading import arms
from ..reading.study import Comparison

CAP = 100
"""Most samples shown of each kind in each comparison; the page says how many there are."""

BASELINES = {arms.UNIMODAL: "unimodal", arms.NO_TEXT: "no text"}
"""What CLIP-IT is compared with: the method's gain and the text's own; names in print."""


@dataclass(frozen=True)
class Sample:
    """A sample on which CLIP-IT and a baseline disagree over seeds.

    Attributes:
        comparison: Position of the comparison.
        kind: `rescued` (CLIP-IT is right in more seeds) or `lost` (in fewer).
        index: Index in the eva dataset.
        target: True class.
        baseline: Class that the baseline predicts in most seeds; clip_it, text: likewise (text is
            empty without text-only runs on these seeds).
        right: Seeds in which the baseline, CLIP-IT and text are right, as "k/n".
        net: Seeds in which CLIP-IT is right minus those in which the baseline is.
        probability_before: Mean probability that the baseline gives the true class.
        probability_after: Mean probability that CLIP-IT gives it.
    """

    comparison: int
    kind: str
    index: int
    filename: str
    target: str
    baseline: str
    clip_it: str
    text: str
    right: tuple[str, ...]
    net: int
    probability_before: float
    probability_after: float


@dataclass(frozen=True)
class Browser:
    """The samples to browse, what is compared with its name, and numbers by kind before the cap."""

    samples: tuple[Sample, ...]
    comparisons: tuple[Comparison, ...]
    names: tuple[str, ...]
    totals: tuple[dict[str, int], ...]


def browse(comparisons: Sequence[Comparison], cap: int = CAP) -> Browser:
    """Finds the samples that CLIP-IT rescues and loses, most seeds and surest first.

    At most `cap` of each kind against each baseline of a comparison, on the seeds that both have.
    """
    shown = [
        (_aligned(one, baseline), baseline)
        for one in comparisons
        for baseline in BASELINES
        if one.has(baseline, arms.CLIP_IT)
    ]
    samples, totals = [], []
    for place, (comparison, baseline) in enumerate(shown):
        names = (baseline, arms.CLIP_IT, arms.TEXT_ONLY)
        wins = {name: _wins(comparison, name) for name in names if comparison.has(name)}
        sure = {name: _sure(comparison, name) for name in (baseline, arms.CLIP_IT)}
        net, change = (of[arms.CLIP_IT] - of[baseline] for of in (wins, sure))
        counts = {}
        for kind, sign in (("rescued", 1), ("lost", -1)):
            found = np.flatnonzero(sign * net > 0)
            counts[kind] = len(found)
            order = np.lexsort((-sign * change[found], -sign * net[found]))
            samples += _samples(comparison, place, kind, found[order[:cap]], wins, sure)
        totals.append(counts)
    return Browser(
        samples=tuple(samples),
        comparisons=tuple(one for one, _ in shown),
        names=tuple(f"{one.name}, against {BASELINES[baseline]}" for one, baseline in shown),
        totals=tuple(totals),
    )


def _aligned(comparison: Comparison, baseline: str) -> Comparison:
    """Returns CLIP-IT and a baseline, with text only where it has all of their seeds."""
    both = comparison.between(baseline, arms.CLIP_IT)
    if not comparison.has(arms.TEXT_ONLY):
        return both
    three = comparison.between(baseline, arms.CLIP_IT, arms.TEXT_ONLY)
    return three if three.replicates == both.replicates else both


def _samples(
    comparison: Comparison,
    place: int,
    kind: str,
    chosen: NDArray[np.int64],
    wins: Mapping[str, NDArray[np.int64]],
    sure: Mapping[str, NDArray[np.float32]],
) -> list[Sample]:
    """Returns the chosen samples of a comparison, given each arm's `_wins` and `_sure`.

    The first arm is the baseline.
    """
    baseline = next(iter(wins))
    names, classes = comparison.samples.names(chosen), comparison.samples.classes
    usual = {name: votes(comparison.predictions(name)[:, chosen], len(classes)) for name in wins}
    rows = []
    for row, position in enumerate(chosen):
        decided = {name: classes[usual[name][row]] for name in wins}
        right = {name: int(of[position]) for name, of in wins.items()}
        rows.append(
            Sample(
                comparison=place,
                kind=kind,
                index=int(comparison.samples.index[position]),
                filename=names[row],
                target=classes[comparison.targets[position]],
                baseline=decided[baseline],
                clip_it=decided[arms.CLIP_IT],
                text=decided.get(arms.TEXT_ONLY, ""),
                right=tuple(f"{of}/{len(comparison.replicates)}" for of in right.values()),
                net=right[arms.CLIP_IT] - right[baseline],
                probability_before=round(float(sure[baseline][position]), 3),
                probability_after=round(float(sure[arms.CLIP_IT][position]), 3),
            )
        )
    return rows


def _wins(comparison: Comparison, name: str) -> NDArray[np.int64]:
    """Returns in how many seeds an arm is right, [samples]."""
    return (comparison.predictions(name) == comparison.targets).sum(axis=0)


def _sure(comparison: Comparison, name: str) -> NDArray[np.float32]:
    """Returns the mean probability that an arm gives the true class, [samples]."""
    mean = comparison.probabilities(name).mean(axis=0)
    return mean[np.arange(len(mean)), comparison.targets]
