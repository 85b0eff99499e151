"""A hold-out of a training split: stratified, or every n-th sample."""

from typing import Literal

from eva.core.data.splitting import stratified
from eva.vision.data.datasets import vision
from typing_extensions import override

from clipit_eva.data.groups import draw_share, groups_of
from clipit_eva.data.wrapper import DatasetWrapper, eva_dataset, eva_index
from clipit_eva.errors import InputError

SHARE = 0.2
"""Share of each class that is held out."""

SEED = 42
"""Seed of the split; apart from the run's seed, so that all runs share one split."""


class HoldOut(DatasetWrapper):
    """One side of a split of a dataset.

    The authors' protocol for BACH and CRC: the held-out part of `train` selects the model, and
    eva's `val` split is the test set, which selection must not see. They hold out a stratified
    share of CRC, and every 20th image of BACH. Of a dataset that knows slides or patients whole
    ones are held out.
    """

    def __init__(
        self,
        dataset: vision.VisionDataset,
        part: Literal["train", "hold_out"],
        share: float = SHARE,
        seed: int = SEED,
        every: int | None = None,
    ) -> None:
        """Initializes the dataset.

        Args:
            dataset: The dataset to split.
            part: The side: `hold_out` has `share` of each class, `train` the rest.
            share: Share of each class that is held out, in (0, 1); of whole groups one of
                `1 / share` folds is.
            seed: Seed of the split.
            every: Hold out the samples 0, `every`, 2 `every`, ... instead, at least 2; `share` and
                `seed` do not count then.

        Raises:
            InputError: `share` or `every` is out of range.
        """
        super().__init__(dataset)
        if not 0 < share < 1:
            raise InputError(f"HoldOut: share={share} must lie in (0, 1)")
        if every is not None and every < 2:
            raise InputError(f"HoldOut: every={every} must be at least 2: 1 leaves no train part")
        self._part = part
        self._share = share
        self._seed = seed
        self._every = every
        self._indices: list[int] = []

    @override
    def configure(self) -> None:
        samples = range(len(self._dataset))
        if self._every is not None:
            held = self._part == "hold_out"
            self._indices = [n for n in samples if (n % self._every == 0) == held]
            return
        targets = [int(self._dataset.load_target(index)) for index in samples]
        inner = [eva_index(self._dataset, index) for index in samples]
        groups = groups_of(eva_dataset(self._dataset), inner)
        if groups is not None:
            held = set(draw_share(targets, groups, self._share, self._seed).tolist())
            self._indices = [n for n in samples if (n in held) == (self._part == "hold_out")]
            return
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
