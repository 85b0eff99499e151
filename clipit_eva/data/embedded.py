"""Embeddings by a frozen backbone in place of the images of any eva vision dataset."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision
from typing_extensions import override

from clipit_eva.data.batches import WholeBatch, collate_metadata
from clipit_eva.data.wrapper import DatasetWrapper
from clipit_eva.embeddings.embedded_backbone import EmbeddedBackbone


class EmbeddedDataset(DatasetWrapper):
    """Gives the embedding that `EmbeddingsWriter` kept where the other dataset gives an image.

    A sample is (embedding [d], float32; target; metadata). Batches are slices of one memory-mapped
    array. Besides a few that tell whether images and transform are still those of the embeddings,
    no image is read.
    """

    def __init__(
        self, dataset: vision.VisionDataset, split: str, backbone: EmbeddedBackbone
    ) -> None:
        """Initializes the dataset; files are read in `setup`.

        Args:
            dataset: The eva dataset whose images were embedded, with the same transform.
            split: The split's name.
            backbone: The backbone that embedded them.
        """
        super().__init__(dataset)
        self._split = split
        self._backbone = backbone
        self._embeddings: np.ndarray | None = None
        self._targets = torch.empty(0)

    @override
    def configure(self) -> None:
        if self._embeddings is not None:
            return  # each stage of each run asks
        from clipit_eva.embeddings import embedded_split

        self._embeddings, self._targets = embedded_split.read(
            self._backbone, self._dataset, self._split
        )

    @override
    def load_data(self, index: int) -> torch.Tensor:
        return torch.tensor(self._rows[index])

    @override
    def load_target(self, index: int) -> torch.Tensor:
        return self._targets[index]

    @override
    def __getitem__(self, index: int) -> tuple[Any, Any, dict[str, Any]]:
        return self.load_data(index), self.load_target(index), self.load_metadata(index) or {}

    @property
    @override
    def reads_batches(self) -> bool:
        return True

    @override
    def load_batch(self, indices: Sequence[int]) -> WholeBatch:
        metadata = collate_metadata([self.load_metadata(index) for index in indices])
        embeddings = torch.from_numpy(self._rows[list(indices)])
        return WholeBatch(embeddings, self._targets[list(indices)], metadata)

    @property
    def _rows(self) -> np.ndarray:
        """The embeddings [N, d]."""
        if self._embeddings is None:
            raise RuntimeError("setup has not been called")
        return self._embeddings
