"""The paired report on the samples of any eva vision dataset."""

import collections
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision
from scipy import special
from typing_extensions import override

from clipit_eva import provenance
from clipit_eva.data.batches import WholeBatch
from clipit_eva.data.wrapper import DatasetWrapper, eva_dataset, eva_index
from clipit_eva.embeddings.image_content import content_digest
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.pairing import pairing_table

TEMPERATURE = 0.07
"""Temperature of the softmax that weighs the top-k reports by similarity (CLIP's initial one)."""


class PairedDataset(DatasetWrapper):
    """Adds the paired reports to the metadata of another dataset's samples.

    Added keys, with k = `top_k`: `report_index`, the rows of the reports (or of their
    chunks) among what `ReportSource.chunks` returns [k], int64;
    `report_weight`, their weights [k], float32, which add up to 1; `report_id`, the best report's
    id. The report's text is not copied into batches.
    """

    def __init__(
        self,
        dataset: vision.VisionDataset,
        split: str,
        reports: ReportSource,
        pairing_table: str | None,
        top_k: int = 1,
        distill_weight: float = 1.0,
    ) -> None:
        """Initializes the dataset; files are read in `setup`.

        Args:
            dataset: The dataset to add reports to.
            split: The split's name in the pairing table.
            reports: The reports that the table was made of.
            pairing_table: The pairing table.
            top_k: Number of reports for each image, at least 1.
            distill_weight: The model's weight of the distillation loss: at 0 (the no-text
                ablation) neither the table nor the reports are read, and nothing is added.

        Raises:
            InputError: `top_k` is below 1.
        """
        super().__init__(dataset)
        if top_k < 1:
            raise InputError(f"TOP_K={top_k} must be at least 1")
        self._split = split
        self._reports = reports
        self._pairing_table = pairing_table
        self._top_k = top_k
        self._active = distill_weight > 0
        self._rows = np.empty((0, top_k), dtype=np.int64)
        self._weights = np.empty((0, top_k), dtype=np.float32)
        self._ids: list[str] = []

    @property
    def reports(self) -> ReportSource:
        """The reports that the table was made of."""
        return self._reports

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the reports [N, k], int64, and their weights [N, k], float32; after `setup`."""
        return self._rows, self._weights

    @override
    def configure(self) -> None:
        if not self._active or self._ids:
            return  # each stage of each run asks
        if self._pairing_table is None:
            raise InputError("PAIRING_TABLE is not set; run a pairing config first")
        chunks = self._reports.chunks()
        inner = eva_dataset(self._dataset)
        indices = [eva_index(self._dataset, index) for index in range(len(self._dataset))]
        self._rows, similarities = pairing_table.pairs_of(
            self._pairing_table,
            split=self._split,
            dataset=provenance.class_path(inner),
            filenames={index: inner.filename(index) for index in indices},
            length=len(inner),
            reports_sha256=chunks.sha256,
            report_rows=chunks.first_rows,
            top_k=self._top_k,
            chunk_counts=collections.Counter(chunks.ids),
            clip=self._reports.clip_identity,
            contents=lambda: content_digest(inner, self._reports.cache_dir),
        )
        # Pairs that nobody compared (a control's random ones) have no similarity: they weigh alike.
        logits = np.nan_to_num(similarities) / TEMPERATURE
        self._weights = special.softmax(logits, axis=1).astype(np.float32)
        self._ids = chunks.ids

    @override
    def __getitem__(self, index: int) -> tuple[Any, Any, dict[str, Any]]:
        image, target, metadata = super().__getitem__(index)
        return image, target, {**metadata, **self._report_metadata(index)}

    @override
    def load_batch(self, indices: Sequence[int]) -> WholeBatch:
        images, targets, metadata = super().load_batch(indices).parts
        return WholeBatch(images, targets, {**metadata, **self._batch_metadata(indices)})

    @override
    def load_metadata(self, index: int) -> dict[str, Any]:
        return {**(super().load_metadata(index) or {}), **self._report_metadata(index)}

    def _report_metadata(self, index: int) -> dict[str, Any]:
        """Returns what the wrapper adds to a sample: its part of a batch of one."""
        return {name: values[0] for name, values in self._batch_metadata([index]).items()}

    def _batch_metadata(self, indices: Sequence[int]) -> dict[str, Any]:
        """Returns what the wrapper adds to a batch."""
        if not self._active:
            return {}
        rows = self._rows[list(indices)]
        return {
            "report_index": torch.from_numpy(rows),
            "report_weight": torch.from_numpy(self._weights[list(indices)]),
            "report_id": [self._ids[row] for row in rows[:, 0]],
        }
