"""Runs gathered into comparisons: a dataset, its labels, a backbone, arms on the same samples."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clipit_eva.errors import InputError

from . import arms, published
from .arms import Arm
from .run_settings import LABELS_PER_CLASS
from .runs import Run
from .samples import Samples, check_same
from .slides import read_groups, slides_of

Replicate = tuple[int | None, str]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All arms of one dataset, number of labels and backbone, on the same samples.

    Arms may lack seeds that others have: `between` aligns those that are compared.

    Attributes:
        task: Name of the dataset in print; backbone: of the backbone.
        samples: The test set that all runs share.
        replicates: Seed and run number of all seeds that an arm has.
        runs: Runs of each arm, in the order of `replicates`.
        clusters: Slide or patient of each sample; None if not known.
        labels_per_class: Labelled training images of each class; None: all.
    """

    task: str
    backbone: str
    samples: Samples
    replicates: tuple[Replicate, ...]
    runs: Mapping[Arm, tuple[Run, ...]]
    clusters: NDArray[np.int64] | None = field(default=None)
    labels_per_class: int | None = None

    @property
    def dataset(self) -> str:
        """Name of the dataset in print, with the number of labels unless all are known."""
        return _with_labels(self.task, self.labels_per_class)

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
        """Returns whether all these arms are there, with a seed that they share."""
        return all(self.arm(name) for name in names) and bool(self._shared(names))

    def between(self, *names: str) -> "Comparison":
        """Returns these arms alone, on the seeds that all of them have.

        Raises:
            InputError: One of them is not there.
        """
        shared = self._shared(names)
        runs = {
            arm: tuple(run for run in runs if run.replicate in shared)
            for arm, runs in self.runs.items()
            if arm.name in names
        }
        return replace(self, replicates=shared, runs=runs)

    @property
    def gaps(self) -> tuple[str, ...]:
        """Which arms lack seeds that others have, in words."""
        found = []
        for arm, runs in self.runs.items():
            own = {run.replicate for run in runs}
            missing = [one for one in self.replicates if one not in own]
            if missing:
                names = ", ".join(replicate_name(one, self.replicates) for one in missing)
                found.append(f"{_words(arm, self.dataset, self.backbone)} lacks {names}")
        return tuple(found)

    def predictions(self, name: str) -> NDArray[np.int16]:
        """Returns an arm's predicted classes, [seeds, samples]."""
        return np.stack([run.predictions for run in self._of(name)])

    def right(self, name: str) -> NDArray[np.float64]:
        """Returns 1.0 where an arm is right, else 0.0, [seeds, samples]."""
        return (self.predictions(name) == self.targets).astype(np.float64)

    def probabilities(self, name: str) -> NDArray[np.float32]:
        """Returns an arm's class probabilities, [seeds, samples, classes]."""
        return np.stack([run.probabilities for run in self._of(name)])

    def named_runs(self, arm: Arm) -> list[tuple[str, Run]]:
        """Returns an arm's runs, each with the words for its replicate."""
        return [(replicate_name(run.replicate, self.replicates), run) for run in self.runs[arm]]

    def _shared(self, names: Sequence[str]) -> tuple[Replicate, ...]:
        """Returns the replicates that all these arms have."""
        had = [{run.replicate for run in self._of(name)} for name in names]
        return tuple(one for one in self.replicates if all(one in own for own in had))

    def _of(self, name: str) -> tuple[Run, ...]:
        arm = self.arm(name)
        if arm is None:
            raise InputError(f"{self.name} has no arm {name!r}; it has "
                             f"{', '.join(arm.name for arm in self.runs)}")  # fmt: skip
        return self.runs[arm]


def gather(runs: Sequence[Run], groups: Path | None = None) -> list[Comparison]:
    """Gathers runs into comparisons, ordered as the paper orders datasets and backbones.

    Text-only runs have no backbone: they join every comparison of their dataset.

    Args:
        runs: Of any datasets.
        groups: File that tells slides or patients, see `slides.read_groups`.

    Raises:
        InputError: Two runs of one dataset differ in samples or targets, a test set has one class,
            a run is there twice (also under another seed), or see `arms.resolve` and `slides`.
    """
    comparisons = []
    named = None if groups is None else read_groups(groups, [run.test_set for run in runs])
    for dataset in sorted({run.dataset for run in runs}, key=_paper_order(published.DATASETS)):
        mine = [run for run in runs if run.dataset == dataset]
        for run in mine:
            check_same(mine[0].test_set, run.test_set, run.path)
        if np.ptp(mine[0].test_set.targets) == 0:
            raise InputError(
                f"{mine[0].path} was tested on class {mine[0].test_set.targets[0]} alone: there is "
                "nothing to tell apart; test on all classes, or report without it"
            )
        clusters = slides_of(mine[0], named)
        for labels in sorted({_labels(run) for run in mine}, key=lambda n: n or math.inf):
            same = [run for run in mine if _labels(run) == labels]
            for backbone, own in _by_backbone(same):
                comparisons.append(_cell(dataset, backbone, own, clusters))
    return comparisons


def _with_labels(dataset: str, labels: int | None) -> str:
    return dataset if labels is None else f"{dataset} ({labels} labels a class)"


def _labels(run: Run) -> int | None:
    """Returns the number of labelled training images of each class; None: all are."""
    return run.settings.get(LABELS_PER_CLASS)


def _by_backbone(runs: Sequence[Run]) -> Iterator[tuple[str | None, list[Run]]]:
    """Yields the runs of each backbone, with those of text alone."""
    shared = [run for run in runs if run.method == arms.TEXT_ONLY]
    backbones = {run.backbone for run in runs if run.method != arms.TEXT_ONLY}
    for backbone in sorted(backbones or {None}, key=_paper_order(published.BACKBONES)):
        own = [run for run in runs if run not in shared and run.backbone == backbone]
        yield backbone, [*own, *shared]


def replicate_name(replicate: Replicate, among: Sequence[Replicate]) -> str:
    """Returns a replicate in words, with its number only where that tells it from others."""
    seed, number = replicate
    words = "seed unknown" if seed is None else f"seed {seed}"
    numbers = {other for other_seed, other in among}
    return words if numbers == {number} else f"{words} {number}"


def _cell(
    dataset: str, backbone: str | None, runs: Sequence[Run], clusters: NDArray[np.int64] | None
) -> Comparison:
    labels = _labels(runs[0])
    settings = [(run.method, run.settings) for run in runs]
    resolved = arms.resolve(settings, [run.plain for run in runs])
    where = _with_labels(published.dataset_name(dataset), labels)
    by_arm: dict[Arm, dict[Replicate, Run]] = {}
    for arm, run in zip(resolved, runs, strict=True):
        seen = by_arm.setdefault(arm, {})
        twin = seen.setdefault(run.replicate, run)
        if twin is not run:
            raise InputError(
                f"{run.path} and {twin.path} are both {_words(arm, where, backbone)}, "
                f"{replicate_name(run.replicate, [run.replicate, (None, '')])}; remove one of them"
            )
    for arm, seen in by_arm.items():
        _check_distinct(list(seen.values()), _words(arm, where, backbone))
    replicates = sorted({key for seen in by_arm.values() for key in seen}, key=_replicate_order)
    return Comparison(
        task=published.dataset_name(dataset),
        backbone=published.backbone_name(backbone),
        samples=runs[0].test_set,
        replicates=tuple(replicates),
        runs={
            arm: tuple(by_arm[arm][one] for one in replicates if one in by_arm[arm])
            for arm in sorted(by_arm, key=lambda arm: arm.order)
        },
        clusters=clusters,
        labels_per_class=labels,
    )


def _check_distinct(runs: Sequence[Run], words: str) -> None:
    """Refuses runs of one arm with the same probabilities to the last bit: one is a copy."""
    known: dict[str, Run] = {}
    for run in runs:
        twin = known.setdefault(run.digest, run)
        if twin is not run:
            raise InputError(
                f"{run.path} and {twin.path}, two seeds of {words}, hold the same predictions; "
                "one is a copy of the other: remove it, or train that seed"
            )


def _words(arm: Arm, where: str, backbone: str | None) -> str:
    """Names an arm, given its dataset in print and the name in print or in eva of its backbone."""
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
