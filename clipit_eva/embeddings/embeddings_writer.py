"""The callback that embeds a task's images while `eva predict` reads them."""

from collections.abc import Mapping

import lightning.pytorch as pl
import torch
from typing_extensions import override

from clipit_eva.embeddings import embedded_split
from clipit_eva.embeddings.embedded_backbone import EmbeddedBackbone, weights_digest
from clipit_eva.embeddings.embedder import ImageEmbedder
from clipit_eva.embeddings.embedding_callback import EmbeddingCallback
from clipit_eva.embeddings.images import read_image
from clipit_eva.eva import backbones
from clipit_eva.progress_bars import progress


class EmbeddingsWriter(EmbeddingCallback):
    """Embeds the images of `eva predict` with a vision backbone, once, into one file a split.

    An interrupted command continues where it was; images that have an embedding are not read
    again (but for a few that tell whether images and transform are still the same).
    """

    def __init__(self, backbone: EmbeddedBackbone, splits: Mapping[int, str]) -> None:
        """Initializes the callback; the backbone is loaded when predicting starts.

        Args:
            backbone: The backbone, and the folder of the embeddings.
            splits: Name of the split of each predict dataset, by its position.
        """
        super().__init__(splits)
        self._backbone = backbone

    @override
    def start(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> int:
        model = self._backbone.load()
        weights = weights_digest(model)
        record = self._backbone.record() or {}
        model.to(trainer.strategy.root_device)
        if record.get("weights") == weights:
            width = record["width"]
        else:
            image = read_image(embedder.datasets[0], 0, embedder.splits[0])
            images = image[None].to(trainer.strategy.root_device)
            width = backbones.width_of(model, images, self._backbone.name)
        facts = {**self._backbone.identity, "weights": weights}
        embedder.open(self._backbone.root, embedded_split.KIND, facts, width)
        if trainer.is_global_zero:
            self._backbone.keep_record(weights, width, backbones.normalisation(model))
        return embedder.begin(model, "MODEL_NAME")

    @override
    def complete(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> None:
        for rows, dataset, split in zip(
            embedder.stores, embedder.datasets, embedder.splits, strict=True
        ):
            if not embedded_split.is_complete(rows):
                indices = progress(range(len(dataset)), desc=f"Labels of {split}", unit="image")
                targets = [torch.as_tensor(dataset.load_target(index)) for index in indices]
                embedded_split.complete(rows, torch.stack(targets).numpy())
            print(f"Embeddings of {split}: {rows.file}")
