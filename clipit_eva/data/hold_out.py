"""A stratified hold-out of a training split."""

from typing import Literal

from eva.core.data.splitting import stratified
from eva.vision.data.datasets import vision
from typing_extensions import override

from clipit_eva.data.wrapper import DatasetWrapper
from clipit_eva.errors import InputError

SHARE = 0.2
"""Share of each class that is held out."""

SEED = 42
"""Seed of the split; apart from the run's seed, so that all runs share one split."""


class HoldOut(DatasetWrapper):
    """One side of a stratified split of a dataset.

    The authors' protocol for BACH and CRC: the held-out part of `train` selects the model, and
    eva's `val` split is the test set, which selection must not see.
    """

    def __init__(
        self,
        dataset: vision.VisionDataset,
        part: Literal["train", "hold_out"],
        share: float = SHARE,
        seed: int = SEED,
    ) -> None:
        """Initializes the dataset.

        Args:
            dataset: The dataset to split.
            part: The side: `hold_out` has `share` of each class, `train` the rest.
            share: Share of each class that is held out, in (0, 1).
            seed: Seed of the split.

        Raises:
            InputError: `share` is out of range.
        """
        super().__init__(dataset)
        if not 0 < share < 1:
            raise InputError(f"HoldOut: share={share} must lie in (0, 1)")
        self._part = part
        self._share = share
        self._seed = seed
        self._indices: list[int] = []

    @override
    def configure(self) -> None:
        samples = range(len(self._dataset))
        targets = [int(self._dataset.load_target(index)) for index in samples]
        train, hold_out, _ = stratified.stratified_split(
            samples, targets, 1 - self._share, self._share, seed=self._seed
        )
        self._indices = sorted(map(int, train if self._part == "train" else hold_out))

    @override
    def inner_index(self, index: int) -> int:
        return self._indices[index]

    @override
    def __len__(self) -> int:
        return len(self._indices)
