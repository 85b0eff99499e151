"""Random changes of training images."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision
from torchvision.transforms import v2
from typing_extensions import override

from clipit_eva import provenance
from clipit_eva.data.wrapper import DatasetWrapper, eva_dataset, find_wrapper
from clipit_eva.errors import InputError
from clipit_eva.eva import compat


def flips_and_jitter() -> v2.Transform:
    """Returns the authors' augmentation of PatchCamelyon: flips, and jitter of colours."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomVerticalFlip(0.5),
            v2.ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.05),
        ]
    )


AUGMENTATIONS: dict[str, Callable[[], v2.Transform]] = {"flips_and_jitter": flips_and_jitter}
"""Augmentations by name: each changes a raw image [3, H, W], uint8, and leaves its type."""


class Augmented(DatasetWrapper):
    """Changes images at random each time they are read, before the dataset's own transform.

    What is drawn depends on the global seed, the run, the sample and how often it was read, so that
    neither the number of loading processes nor any other random number has a part in it.
    """

    def __init__(self, dataset: vision.VisionDataset, augmentation: str | None = None) -> None:
        """Initializes the dataset.

        Args:
            dataset: The training part of a dataset of images.
            augmentation: A key of `AUGMENTATIONS`; `None` leaves the images as they are.

        Raises:
            InputError: The name is unknown, or the dataset has embeddings in the place of images.
        """
        super().__init__(dataset)
        self._augmentation: v2.Transform | None = None
        self._paused = False
        self._runs = 0
        self._reads = torch.empty(0)
        if augmentation is None:
            return
        if augmentation not in AUGMENTATIONS:
            raise InputError(
                f"AUGMENTATION={augmentation} is unknown; use one of {', '.join(AUGMENTATIONS)}, "
                "or null"
            )
        if isinstance(dataset, DatasetWrapper) and dataset.reads_batches:
            raise InputError(
                f"AUGMENTATION={augmentation} changes images, and this config reads their "
                "embeddings; set it to null, or train by unimodal or clip_it"
            )
        self._augmentation = AUGMENTATIONS[augmentation]()

    @override
    def configure(self) -> None:
        if self._augmentation is not None:
            self._runs += 1  # once a run: only fitting asks for the training part
            # Counted in one place for all loading processes.
            self._reads = torch.zeros(len(self), dtype=torch.int32).share_memory_()

    @override
    def __getitem__(self, index: int) -> tuple[Any, Any, dict[str, Any]]:
        if self._augmentation is None or self._paused:
            return super().__getitem__(index)
        self._reads[index] += 1
        drawn_by = [provenance.seed() or 0, self._runs, index, int(self._reads[index])]
        images = eva_dataset(self._dataset)
        own = compat.transforms_of(images)
        compat.set_transforms(images, _in_turn(self._augmentation, own))
        try:
            with torch.random.fork_rng(devices=[]):
                seed = np.random.SeedSequence(drawn_by).generate_state(1, np.uint64)
                torch.default_generator.manual_seed(int(seed[0]))
                return super().__getitem__(index)
        finally:
            compat.set_transforms(images, own)


@contextlib.contextmanager
def plain_images(dataset: object) -> Iterator[None]:
    """Lets a dataset, or the one inside its wrappers, read images as they are for a while."""
    augmented = find_wrapper(dataset, Augmented)
    if augmented is None:
        yield
        return
    augmented._paused = True
    try:
        yield
    finally:
        augmented._paused = False


def _in_turn(first: v2.Transform, second: Callable[..., Any] | None) -> Callable[..., Any]:
    """Returns two transforms of image and target as one."""
    return first if second is None else lambda *sample: second(*first(*sample))
