"""A training split of which only a few labels are known."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from eva.vision.data.datasets import vision
from typing_extensions import override

from clipit_eva.data.augmented import Augmented
from clipit_eva.data.batches import UNKNOWN_TARGET, WholeBatch
from clipit_eva.data.wrapper import DatasetWrapper
from clipit_eva.errors import InputError

LABELLED = "labelled"
"""Metadata key of a batch with unlabelled samples: whether each has its label, bool."""

Unlabelled = Literal["distill", "drop"]
"""What becomes of samples without a label: trained on by their reports alone, or left out."""


class FewLabels(DatasetWrapper):
    """Keeps the labels of a few samples of each class.

    Labelled are the first `labels_per_class` of each class in a random order of the samples: with
    one seed, those labelled at 5 are among those at 10. The others are left out, or stay with
    `UNKNOWN_TARGET` as target and `labelled` in the metadata of all samples. Without
    `labels_per_class` all samples are as they were.
    """

    def __init__(
        self,
        dataset: vision.VisionDataset,
        labels_per_class: int | None = None,
        labels_seed: int = 0,
        unlabelled: Unlabelled | None = "drop",
        distill_weight: float | None = None,
        augmentation: str | None = None,
    ) -> None:
        """Initializes the dataset; labels are drawn in `setup`.

        Args:
            dataset: The training part: a hold-out that selects the model is none of it.
            labels_per_class: Labelled samples of each class, at least 1; `None` for all.
            labels_seed: Seed of the draw; apart from the run's seed, so that all runs share it.
            unlabelled: What becomes of the other samples; `None`: `distill` if the model distils
                reports, else `drop`.
            distill_weight: The model's weight of the distillation loss; `None` if it reads no
                reports.
            augmentation: Name of the random changes of images, see `Augmented`. It is named here
                because each dataset inside another doubles the time that a config takes to read.

        Raises:
            InputError: `labels_per_class` or `labels_seed` is out of range, unlabelled samples are
                to be distilled by a model that distils nothing, or see `Augmented`.
        """
        super().__init__(dataset if augmentation is None else Augmented(dataset, augmentation))
        if labels_per_class is not None and labels_per_class < 1:
            raise InputError(
                f"LABELS_PER_CLASS={labels_per_class} must be at least 1, or null for all labels"
            )
        if labels_seed < 0:
            raise InputError(f"LABELS_SEED={labels_seed} must be at least 0")
        distils = bool(distill_weight)
        if unlabelled == "distill" and not distils:
            raise InputError(
                "UNLABELLED=distill needs reports to learn from, and DISTILL_WEIGHT=0 reads none; "
                "set UNLABELLED=drop, or leave it unset"
            )
        self._per_class = labels_per_class
        self._seed = labels_seed
        self._keeps_all = distils and unlabelled != "drop"
        self._labelled: list[int] = []
        self._known = torch.empty(0, dtype=torch.bool)

    @override
    def configure(self) -> None:
        if self._per_class is not None and not self._labelled:  # each stage of each run asks
            self._labelled = self._draw(self._per_class)
            self._known = torch.zeros(len(self._dataset), dtype=torch.bool)
            self._known[self._labelled] = True

    @override
    def inner_index(self, index: int) -> int:
        return index if self._per_class is None or self._keeps_all else self._labelled[index]

    @override
    def __len__(self) -> int:
        if self._per_class is None or self._keeps_all:
            return len(self._dataset)
        return len(self._labelled)

    @override
    def __getitem__(self, index: int) -> tuple[Any, Any, dict[str, Any]]:
        data, target, metadata = super().__getitem__(index)
        if self._hides:
            known = self._is_labelled([index])[0]
            target, metadata = _hidden(target, known), {**metadata, LABELLED: known}
        return data, target, metadata

    @override
    def load_target(self, index: int) -> Any:
        target = super().load_target(index)
        return _hidden(target, self._is_labelled([index])[0]) if self._hides else target

    @override
    def load_metadata(self, index: int) -> dict[str, Any] | None:
        metadata = super().load_metadata(index)
        if not self._hides:
            return metadata
        return {**(metadata or {}), LABELLED: self._is_labelled([index])[0]}

    @override
    def load_batch(self, indices: Sequence[int]) -> WholeBatch:
        data, targets, metadata = super().load_batch(indices).parts
        if self._hides:
            known = self._is_labelled(indices)
            targets, metadata = _hidden(targets, known), {**metadata, LABELLED: known}
        return WholeBatch(data, targets, metadata)

    @property
    def _hides(self) -> bool:
        """Whether there are samples whose label is not to be seen."""
        return self._per_class is not None and self._keeps_all

    def _is_labelled(self, indices: Sequence[int]) -> torch.Tensor:
        """Returns whether samples have their label [n], bool."""
        return self._known[list(indices)]

    def _draw(self, per_class: int) -> list[int]:
        """Returns the labelled samples, in their order.

        A label can take opening a file: no more are read than the draw needs.

        Raises:
            InputError: A class has fewer samples.
        """
        names = self._dataset.classes
        drawn: dict[int, list[int]] = {place: [] for place in range(len(names or ()))}
        short = set(drawn)
        for index in np.random.default_rng(self._seed).permutation(len(self._dataset)).tolist():
            target = int(self._dataset.load_target(index))
            found = drawn.setdefault(target, [])
            if len(found) < per_class:
                found.append(index)
                if len(found) == per_class:
                    short.discard(target)
            if names and not short:
                break
        for target, found in sorted(drawn.items()):
            if len(found) < per_class:
                name = names[target] if names and target < len(names) else target
                raise InputError(
                    f"LABELS_PER_CLASS={per_class}: class {name} has {len(found)} images in the "
                    "training part; set it to at most that, or to null for all labels"
                )
        return sorted(index for found in drawn.values() for index in found)


def _hidden(targets: Any, known: torch.Tensor) -> torch.Tensor:
    """Returns targets, `UNKNOWN_TARGET` where they are not known."""
    targets = torch.as_tensor(targets)
    return torch.where(known.to(targets.device), targets, UNKNOWN_TARGET)
