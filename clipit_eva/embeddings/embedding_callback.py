"""What callbacks have in common that embed images while `eva predict` reads them."""

import abc
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch import callbacks
from typing_extensions import override

from clipit_eva.embeddings.embedder import ImageEmbedder


class EmbeddingCallback(callbacks.Callback, abc.ABC):
    """Embeds the images of `eva predict`, once; what follows from that is up to subclasses."""

    def __init__(self, splits: Mapping[int, str]) -> None:
        """Takes the name of the split of each predict dataset, by its position."""
        super().__init__()
        self._splits = dict(splits)
        self._embedder: ImageEmbedder | None = None

    @abc.abstractmethod
    def start(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> int:
        """Loads the encoder and begins; returns the number of images that have to be embedded."""

    @abc.abstractmethod
    def complete(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> None:
        """Uses the embeddings of all images; called by the first process alone."""

    def release(self) -> None:
        """Frees the encoder and gives the data module its datasets back."""
        if self._embedder is not None:
            self._embedder.release()
        self._embedder = None

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # Before the data loaders are made: only images without an embedding are to be read.
        if stage != "predict":
            return
        self._embedder = ImageEmbedder(trainer, self._splits, type(self).__name__)
        if not self.start(trainer, self._embedder):
            self.on_predict_end(trainer, pl_module)  # Lightning skips predicting without images

    @override
    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._begun().add(*batch)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Waits until all processes have embedded their images.
        if self._begun().finish():
            self.complete(trainer, self._begun())

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.release()

    @override
    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self.release()

    def _begun(self) -> ImageEmbedder:
        if self._embedder is None:
            raise RuntimeError("predicting has not started")
        return self._embedder
