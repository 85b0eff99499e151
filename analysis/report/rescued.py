"""Which samples CLIP-IT rescues and which it loses: the rows of the page's browser."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reading import arms
from ..reading.study import Comparison

CAP = 100
"""Most samples shown of each kind in each comparison; the page says how many there are."""


@dataclass(frozen=True)
class Sample:
    """A sample on which unimodal and CLIP-IT disagree over seeds.

    Attributes:
        comparison: Position of the comparison.
        kind: `rescued` (CLIP-IT is right in more seeds) or `lost` (in fewer).
        index: Index in the eva dataset.
        filename: Filename.
        target: True class.
        unimodal: Class that unimodal predicts in most seeds; clip_it, text: likewise (text is
            empty without text-only runs).
        right: Seeds in which unimodal, CLIP-IT and text are right, as "k/n".
        net: Seeds in which CLIP-IT is right minus those in which unimodal is.
        probability_before: Mean probability that unimodal gives the true class.
        probability_after: Mean probability that CLIP-IT gives it.
    """

    comparison: int
    kind: str
    index: int
    filename: str
    target: str
    unimodal: str
    clip_it: str
    text: str
    right: tuple[str, ...]
    net: int
    probability_before: float
    probability_after: float

    def as_row(self) -> dict[str, Any]:
        """Returns the sample as JSON-serialisable data."""
        return asdict(self)


@dataclass(frozen=True)
class Browser:
    """The samples to browse.

    Attributes:
        samples: At most `CAP` of each kind and comparison.
        comparisons: Name of each comparison.
        totals: Number of samples of each comparison and kind before the cap.
    """

    samples: tuple[Sample, ...]
    comparisons: tuple[str, ...]
    totals: tuple[dict[str, int], ...]


def browse(comparisons: Sequence[Comparison], cap: int = CAP) -> Browser:
    """Finds the samples that CLIP-IT rescues and loses, most seeds and surest first.

    Args:
        comparisons: The comparisons; those without both arms are left out.
        cap: Most samples of each kind in each comparison.
    """
    paired = [
        comparison for comparison in comparisons if comparison.has(arms.UNIMODAL, arms.CLIP_IT)
    ]
    samples, totals = [], []
    for place, comparison in enumerate(paired):
        net = _wins(comparison, arms.CLIP_IT) - _wins(comparison, arms.UNIMODAL)
        before, after = _sure(comparison, arms.UNIMODAL), _sure(comparison, arms.CLIP_IT)
        counts = {}
        for kind, sign in (("rescued", 1), ("lost", -1)):
            found = np.flatnonzero(sign * net > 0)
            counts[kind] = len(found)
            order = np.lexsort((-sign * (after - before)[found], -sign * net[found]))
            chosen = found[order[:cap]]
            samples += _samples(comparison, place, kind, chosen, net, before, after)
        totals.append(counts)
    return Browser(tuple(samples), tuple(comparison.name for comparison in paired), tuple(totals))


def _samples(
    comparison: Comparison,
    place: int,
    kind: str,
    chosen: NDArray[np.int64],
    net: NDArray[np.int64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
) -> list[Sample]:
    """Returns the chosen samples of a comparison."""
    names = comparison.samples.names(chosen)
    classes, n = comparison.samples.classes, len(comparison.replicates)
    shown = [name for name in (arms.UNIMODAL, arms.CLIP_IT, arms.TEXT_ONLY) if comparison.has(name)]
    usual = {name: _usual(comparison, name, chosen) for name in shown}
    wins = [_wins(comparison, name)[chosen] for name in shown]
    rows = []
    for row, position in enumerate(chosen):
        decided = {name: classes[usual[name][row]] for name in shown}
        rows.append(
            Sample(
                comparison=place,
                kind=kind,
                index=int(comparison.samples.index[position]),
                filename=names[row],
                target=classes[comparison.targets[position]],
                unimodal=decided[arms.UNIMODAL],
                clip_it=decided[arms.CLIP_IT],
                text=decided.get(arms.TEXT_ONLY, ""),
                right=tuple(f"{int(one[row])}/{n}" for one in wins),
                net=int(net[position]),
                probability_before=round(float(before[position]), 3),
                probability_after=round(float(after[position]), 3),
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


def _usual(comparison: Comparison, name: str, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the class that an arm predicts in most seeds (ties: the lower), [chosen]."""
    predictions = comparison.predictions(name)[:, chosen]
    votes = [(predictions == k).sum(axis=0) for k in range(len(comparison.samples.classes))]
    return np.argmax(votes, axis=0)
