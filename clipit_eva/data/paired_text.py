"""The paired report in place of the image: the data of a text-only run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision
from torch.utils.data import default_collate
from typing_extensions import override

from clipit_eva.data.batches import WholeBatch, collate_metadata
from clipit_eva.data.paired import PairedDataset
from clipit_eva.data.wrapper import DatasetWrapper
from clipit_eva.embeddings.report_source import ReportSource


class PairedTextDataset(PairedDataset):
    """Gives the embedding of the paired report where the other dataset gives an image.

    A sample is (embedding [t], float32, weighted over the top k; target; metadata). No image is
    read.
    """

    def __init__(
        self,
        dataset: vision.VisionDataset,
        split: str,
        reports: ReportSource,
        pairing_table: str | None,
        top_k: int = 1,
    ) -> None:
        """Initializes the dataset; files are read in `setup`.

        Args:
            dataset: The dataset whose targets are kept.
            split: The split's name in the pairing table.
            reports: The reports that the table was made of, and the text encoder.
            pairing_table: The pairing table.
            top_k: Number of reports for each image.
        """
        super().__init__(dataset, split, reports, pairing_table, top_k)
        self._embeddings = np.empty((0, 0), dtype=np.float32)
        self._targets: dict[int, Any] = {}  # a label can take opening a file: each is read once

    @override
    def configure(self) -> None:
        super().configure()
        self._embeddings = self._reports.embeddings()

    @override
    def load_data(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self._weights[index] @ self._embeddings[self._rows[index]])

    @override
    def __getitem__(self, index: int) -> tuple[torch.Tensor, Any, dict[str, Any]]:
        return self.load_data(index), self.load_target(index), self.load_metadata(index)

    @override
    def load_target(self, index: int) -> Any:
        if index not in self._targets:
            self._targets[index] = super().load_target(index)
        return self._targets[index]

    @property
    @override
    def reads_batches(self) -> bool:
        return True

    @override
    def load_batch(self, indices: Sequence[int]) -> WholeBatch:
        rows, weights = self._rows[list(indices)], self._weights[list(indices)]
        embeddings = np.einsum("bk,bkt->bt", weights, self._embeddings[rows])
        targets = default_collate([self.load_target(index) for index in indices])
        inner = [DatasetWrapper.load_metadata(self, index) for index in indices]
        metadata = {**collate_metadata(inner), **self._batch_metadata(indices)}
        return WholeBatch(torch.from_numpy(embeddings), targets, metadata)
