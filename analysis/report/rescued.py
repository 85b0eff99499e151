"""Which samples CLIP-IT rescues and which it loses: the rows of the page's browser."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import arms
from ..cells import Cell

CAP = 100
"""Most samples shown of each kind in each cell; the page says how many there are."""


@dataclass(frozen=True)
class Sample:
    """A sample on which unimodal and CLIP-IT disagree over seeds.

    Attributes:
        cell: Position of the cell.
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

    cell: int
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
        samples: At most `CAP` of each kind and cell.
        cells: Name of each cell.
        totals: Number of samples of each cell and kind before the cap.
    """

    samples: tuple[Sample, ...]
    cells: tuple[str, ...]
    totals: tuple[dict[str, int], ...]


def browse(cells: Sequence[Cell], cap: int = CAP) -> Browser:
    """Finds the samples that CLIP-IT rescues and loses, most seeds and surest first.

    Args:
        cells: The cells; those without both arms are left out.
        cap: Most samples of each kind in each cell.
    """
    paired = [cell for cell in cells if cell.has(arms.UNIMODAL, arms.CLIP_IT)]
    samples, totals = [], []
    for place, cell in enumerate(paired):
        net = _wins(cell, arms.CLIP_IT) - _wins(cell, arms.UNIMODAL)
        before, after = _sure(cell, arms.UNIMODAL), _sure(cell, arms.CLIP_IT)
        counts = {}
        for kind, sign in (("rescued", 1), ("lost", -1)):
            found = np.flatnonzero(sign * net > 0)
            counts[kind] = len(found)
            order = np.lexsort((-sign * (after - before)[found], -sign * net[found]))
            chosen = found[order[:cap]]
            samples += _samples(cell, place, kind, chosen, net, before, after)
        totals.append(counts)
    return Browser(tuple(samples), tuple(cell.name for cell in paired), tuple(totals))


def _samples(
    cell: Cell,
    place: int,
    kind: str,
    chosen: NDArray[np.int64],
    net: NDArray[np.int64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
) -> list[Sample]:
    """Returns the chosen samples of a cell."""
    names = cell.samples.names(chosen)
    classes, n = cell.samples.classes, len(cell.replicates)
    shown = [name for name in (arms.UNIMODAL, arms.CLIP_IT, arms.TEXT_ONLY) if cell.has(name)]
    usual = {name: _usual(cell, name, chosen) for name in shown}
    wins = [_wins(cell, name)[chosen] for name in shown]
    rows = []
    for row, position in enumerate(chosen):
        decided = {name: classes[usual[name][row]] for name in shown}
        rows.append(
            Sample(
                cell=place,
                kind=kind,
                index=int(cell.samples.index[position]),
                filename=names[row],
                target=classes[cell.targets[position]],
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


def _wins(cell: Cell, name: str) -> NDArray[np.int64]:
    """Returns in how many seeds an arm is right, [samples]."""
    return (cell.predictions(name) == cell.targets).sum(axis=0)


def _sure(cell: Cell, name: str) -> NDArray[np.float32]:
    """Returns the mean probability that an arm gives the true class, [samples]."""
    mean = cell.probabilities(name).mean(axis=0)
    return mean[np.arange(len(mean)), cell.targets]


def _usual(cell: Cell, name: str, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the class that an arm predicts in most seeds (ties: the lower), [chosen]."""
    predictions = cell.predictions(name)[:, chosen]
    votes = [(predictions == k).sum(axis=0) for k in range(len(cell.samples.classes))]
    return np.argmax(votes, axis=0)
