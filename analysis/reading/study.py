"""Runs gathered into comparisons: a dataset, a backbone, arms on the same seeds and samples."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipit_eva.errors import InputError

from . import arms, published
from .arms import Arm
from .runs import Run
from .samples import Samples, check_same
from .slides import slides_of

Replicate = tuple[int | None, str]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All arms of one dataset and backbone, aligned.

    Attributes:
        dataset: Name of the dataset in print; backbone: of the backbone.
        samples: The test set that all runs share.
        replicates: Seed and run number of each seed row, the same for every arm.
        runs: Runs of each arm, in the order of `replicates`.
        clusters: Slide of each sample; None if not known.
    """

    dataset: str
    backbone: str
    samples: Samples
    replicates: tuple[Replicate, ...]
    runs: Mapping[Arm, tuple[Run, ...]]
    clusters: NDArray[np.int64] | None = field(default=None)

    @property
    def name(self) -> str:
        """Dataset and backbone."""
        return f"{self.backbone} on {self.dataset}"

    @property
    def targets(self) -> NDArray[np.int16]:
        """True classes, [samples]."""
        return self.samples.targets

    @property
    def seed_names(self) -> tuple[str, ...]:
        """The replicates in words."""
        return tuple(replicate_name(replicate, self.replicates) for replicate in self.replicates)

    @property
    def n_slides(self) -> int | None:
        """Number of slides; None if not known."""
        return None if self.clusters is None else len(np.unique(self.clusters))

    @property
    def all_runs(self) -> list[Run]:
        """The runs of all arms."""
        return [run for runs in self.runs.values() for run in runs]

    def arm(self, name: str) -> Arm | None:
        """Returns the arm of a name, or None."""
        return next((arm for arm in self.runs if arm.name == name), None)

    def has(self, *names: str) -> bool:
        """Returns whether all these arms are there."""
        return all(self.arm(name) is not None for name in names)

    def predictions(self, name: str) -> NDArray[np.int16]:
        """Returns an arm's predicted classes, [seeds, samples]."""
        return np.stack([run.predictions for run in self._of(name)])

    def right(self, name: str) -> NDArray[np.float64]:
        """Returns 1.0 where an arm is right, else 0.0, [seeds, samples]."""
        return (self.predictions(name) == self.targets).astype(np.float64)

    def probabilities(self, name: str) -> NDArray[np.float32]:
        """Returns an arm's class probabilities, [seeds, samples, classes]."""
        return np.stack([run.probabilities for run in self._of(name)])

    def _of(self, name: str) -> tuple[Run, ...]:
        arm = self.arm(name)
        if arm is None:
            raise InputError(f"{self.name} has no arm {name!r}; it has "
                             f"{', '.join(arm.name for arm in self.runs)}")  # fmt: skip
        return self.runs[arm]


def gather(runs: Sequence[Run]) -> list[Comparison]:
    """Gathers runs into comparisons, ordered as the paper orders datasets and backbones.

    Text-only runs have no backbone: they join every comparison of their dataset.

    Raises:
        InputError: Two runs of one dataset differ in samples or targets, an arm lacks a seed that
            another arm of its comparison has, a run is there twice, or see `arms.resolve`.
    """
    comparisons = []
    for dataset in sorted({run.dataset for run in runs}, key=_paper_order(published.DATASETS)):
        mine = [run for run in runs if run.dataset == dataset]
        for run in mine:
            check_same(mine[0].test_set, run.test_set, run.path)
        clusters = slides_of(mine[0])
        shared = [run for run in mine if run.method == arms.TEXT_ONLY]
        backbones = {run.backbone for run in mine if run.method != arms.TEXT_ONLY}
        for backbone in sorted(backbones or {None}, key=_paper_order(published.BACKBONES)):
            own = [run for run in mine if run not in shared and run.backbone == backbone]
            comparisons.append(_cell(dataset, backbone, [*own, *shared], clusters))
    return comparisons


def replicate_name(replicate: Replicate, among: Sequence[Replicate]) -> str:
    """Returns a replicate in words, with its number only where that tells it from others."""
    seed, number = replicate
    words = "seed unknown" if seed is None else f"seed {seed}"
    numbers = {other for other_seed, other in among}
    return words if numbers == {number} else f"{words} {number}"


def _cell(
    dataset: str, backbone: str | None, runs: Sequence[Run], clusters: NDArray[np.int64] | None
) -> Comparison:
    settings = [(run.method, run.settings) for run in runs]
    resolved = arms.resolve(settings, [run.plain for run in runs])
    by_arm: dict[Arm, dict[Replicate, Run]] = {}
    for arm, run in zip(resolved, runs, strict=True):
        seen = by_arm.setdefault(arm, {})
        twin = seen.setdefault(run.replicate, run)
        if twin is not run:
            raise InputError(
                f"{run.path} and {twin.path} are both {_words(arm, dataset, backbone)}, "
                f"{replicate_name(run.replicate, [run.replicate, (None, '')])}; remove one of them"
            )
    replicates = sorted({key for seen in by_arm.values() for key in seen}, key=_replicate_order)
    for arm, replicate in itertools.product(by_arm, replicates):
        if replicate not in by_arm[arm]:
            other = next(other for other in by_arm if replicate in by_arm[other])
            raise InputError(
                f"{_words(arm, dataset, backbone)} lacks {replicate_name(replicate, replicates)}, "
                f"which {other.label} has ({by_arm[other][replicate].path}); "
                "finish that run, or report without the other"
            )
    return Comparison(
        dataset=published.dataset_name(dataset),
        backbone=published.backbone_name(backbone),
        samples=runs[0].test_set,
        replicates=tuple(replicates),
        runs={
            arm: tuple(by_arm[arm][replicate] for replicate in replicates)
            for arm in sorted(by_arm, key=lambda arm: arm.order)
        },
        clusters=clusters,
    )


def _words(arm: Arm, dataset: str, backbone: str | None) -> str:
    where = published.dataset_name(dataset)
    if arm.name.startswith(arms.TEXT_ONLY) or backbone is None:
        return f"{arm.label} on {where}"
    return f"{arm.label} of {published.backbone_name(backbone)} on {where}"


def _replicate_order(replicate: Replicate) -> tuple[int, int, str]:
    """Orders run_10 behind run_9."""
    seed, number = replicate
    return (-1 if seed is None else seed, len(number), number)


def _paper_order(names: Mapping[str, str]):
    """Returns the sort key of names: the paper's order first, then the alphabet."""
    order = {name: place for place, name in enumerate(names)}
    return lambda name: (order.get(name, len(order)), name or "")
