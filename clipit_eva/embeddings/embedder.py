"""Embedding the images of `eva predict` into files, those alone that are not there yet."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from clipit_eva.embeddings.encoding import IMAGE_BATCH, FixedBatches
from clipit_eva.embeddings.images import PendingImages, image_facts
from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.errors import InputError
from clipit_eva.eva.dataset_folders import check_folders


class ImageEmbedder:
    """Serves one `eva predict`: its images go in, complete files of embeddings come out.

    The data module's predict datasets are replaced by the images without an embedding until
    `release` is called.

    Attributes:
        datasets: The predict datasets, set up.
        splits: Their splits' names.
        stores: Their embeddings, once `open` was called.
        contents: Digests of their image files by then; None where images are not read or no files.
    """

    def __init__(self, trainer: pl.Trainer, splits: Mapping[int, str], caller: str) -> None:
        """Takes the predict datasets from the trainer's data module.

        Args:
            trainer: eva's trainer, before it makes the data loaders.
            splits: Name of the split of each predict dataset, by its position.
            caller: Name of the callback, for messages.

        Raises:
            InputError: A dataset has no split, or a split no dataset, or a dataset's folder does
                not hold what the dataset takes it for.
        """
        self._trainer = trainer
        self._data: Any = trainer.datamodule  # type: ignore[attr-defined]
        given = self._data.datasets.predict
        self.datasets: list[Any] = list(given) if isinstance(given, list) else [given]
        if sorted(splits) != list(range(len(self.datasets))):
            raise InputError(
                f"{caller}: splits names positions {sorted(splits)}, but there are "
                f"{len(self.datasets)} predict datasets; name each, counting from 0"
            )
        check_folders(self.datasets)
        self.splits = [splits[position] for position in sorted(splits)]
        self.stores: list[RowStore] = []
        self.contents: list[str | None] = [None] * len(self.datasets)
        self._held = contextlib.ExitStack()  # what is released at the end, however that comes
        self._batches: FixedBatches[tuple[int, int]] | None = None

    def open(self, folder: Path, kind: str, facts: Mapping[str, Any], width: int) -> None:
        """Opens each split's embeddings; the first process makes room for them.

        Args:
            folder: Where they are kept.
            kind: What they are; part of the files' names.
            facts: What fixes them besides the images, JSON-serialisable.
            width: Length of an embedding.
        """
        images = [
            image_facts(dataset, split, folder)
            for dataset, split in zip(self.datasets, self.splits, strict=True)
        ]
        self.contents = [own["files"] for own in images]
        self.stores = [
            RowStore(folder, kind, {**own, **facts}, own["length"], width) for own in images
        ]
        if self._trainer.is_global_zero:
            for store in self.stores:
                self._held.enter_context(store.lock())
                store.start()
        self._trainer.strategy.barrier("embeddings have their place")

    def begin(self, encode: Callable[[torch.Tensor], torch.Tensor], mend: str) -> int:
        """Makes the data module serve the images without an embedding.

        Args:
            encode: Images [B, 3, H, W] -> embeddings [B, width], on the trainer's device.
            mend: What to check if an embedding is not finite.

        Returns:
            How many images these are; if none, Lightning skips predicting.
        """
        missing = [store.missing() for store in self.stores]
        pending = PendingImages(self.datasets, self.splits, missing)

        def write(places: Sequence[tuple[int, int]], embeddings: np.ndarray) -> None:
            self._write(places, embeddings, mend)

        self._batches = FixedBatches(encode, IMAGE_BATCH, write)
        self._held.callback(setattr, self._data, "datasets", self._data.datasets)
        self._data.datasets = dataclasses.replace(self._data.datasets, predict=pending)
        self._data.allow_zero_length_dataloader_with_multiple_devices = True
        if not len(pending):
            warnings.filterwarnings("ignore", message="Total length of `.*DataLoader` across ranks")
        return len(pending)

    def add(self, images: torch.Tensor, places: torch.Tensor) -> None:
        """Embeds a batch that the data module served."""
        if self._batches is None:
            raise RuntimeError("begin has not been called")
        self._batches.add([(position, row) for position, row in places.tolist()], images)

    def finish(self) -> bool:
        """Embeds what is left and waits for all processes; the first completes the files.

        Returns:
            Whether this is the process that goes on.

        Raises:
            InputError: Not all images were read.
        """
        if self._batches is None:
            raise RuntimeError("begin has not been called")
        self._batches.flush()
        self._trainer.strategy.barrier("images are embedded")
        if not self._trainer.is_global_zero:
            return False
        for store in self.stores:
            if len(missing := store.missing()):
                raise InputError(
                    f"only {store.length - len(missing)} of {store.length} images were read; embed "
                    "whole datasets, without limit_predict_batches or a sampler (what was read is "
                    "kept)"
                )
            store.finish()
        return True

    def release(self) -> None:
        """Gives the data module its datasets back and lets other processes at the files."""
        self._held.close()
        self._batches = None

    def _write(self, places: Sequence[tuple[int, int]], embeddings: np.ndarray, mend: str) -> None:
        """Keeps the embeddings of some images."""
        finite = np.isfinite(embeddings).all(axis=1)
        if not finite.all():
            position, row = places[int(np.argmin(finite))]
            raise InputError(
                f"image {row} ({self.datasets[position].filename(row)}) of split "
                f"{self.splits[position]!r} has an embedding that is not numbers; check the image "
                f"and {mend}"
            )
        for position, store in enumerate(self.stores):
            mine = [place for place, (owner, _) in enumerate(places) if owner == position]
            if mine:  # a complete store takes no more rows
                store.write([places[place][1] for place in mine], embeddings[mine])
