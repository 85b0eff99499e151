"""The callback that pairs images with reports while `eva predict` reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from eva.core.models.modules.typings import INPUT_BATCH
from lightning.pytorch import callbacks
from typing_extensions import override

from clipit_eva import plugin, provenance
from clipit_eva.errors import InputError
from clipit_eva.pairing import table
from clipit_eva.pairing.report_source import ReportSource
from clipit_eva.pairing.retrieval import top_k

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel

plugin.activate()


class PairingWriter(callbacks.BasePredictionWriter):
    """Embeds the images of `eva predict` with CLIP and writes the pairing table.

    The predict datasets must give each image as the CLIP model wants it
    (`clipit_eva.clip.CLIPPreprocess` as their transform). Labels are not read.

    Reference: arXiv 2504.16181, section 3(a), equation 1.
    """

    def __init__(
        self,
        reports: ReportSource,
        output_file: str,
        splits: Mapping[int, str],
        top_k: int = 1,
    ) -> None:
        """Initializes the callback; the model is loaded when predicting starts.

        Args:
            reports: The reports and the CLIP model.
            output_file: The pairing table to write (.parquet); replaced if it exists.
            splits: Name of the split of each predict dataset, by its position.
            top_k: Number of reports for each image, at least 1.

        Raises:
            InputError: `top_k` is below 1.
        """
        super().__init__(write_interval="batch")
        if top_k < 1:
            raise InputError(f"TOP_K={top_k} must be at least 1")
        self._source = reports
        self._output_file = Path(output_file)
        self._splits = dict(splits)
        self._top_k = top_k
        self._clip: CLIPModel | None = None
        self._embeddings: dict[int, list[tuple[Sequence[int], np.ndarray]]] = {}

    @override
    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        corpus = self._source.corpus()
        if self._top_k > len(corpus):
            raise InputError(f"TOP_K={self._top_k}, but REPORTS has {len(corpus)} report(s)")
        count = len(_loaders(trainer))
        if sorted(self._splits) != list(range(count)):
            raise InputError(
                f"PairingWriter: splits names positions {sorted(self._splits)}, but there are "
                f"{count} predict datasets; name each, counting from 0"
            )
        # Here and not in __init__: eva copies the trainer and its callbacks for each run.
        self._clip = self._source.load_clip()
        self._clip.image_encoder.to(pl_module.device)
        self._embeddings = {position: [] for position in self._splits}

    @override
    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        if self._clip is None or batch_indices is None:
            raise RuntimeError("predicting has not started")
        images = INPUT_BATCH(*batch).data
        with torch.inference_mode():
            embeddings = self._clip.image_encoder(images).float().cpu().numpy()
        self._embeddings[dataloader_idx].append((list(batch_indices), embeddings))

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        parts = _gather(self._embeddings)
        clip, self._clip, self._embeddings = self._clip, None, {}
        if not trainer.is_global_zero or clip is None:
            return
        corpus = self._source.corpus()
        bank = self._source.embeddings(clip, corpus)
        loaders = _loaders(trainer)
        pairs, datasets = [], {}
        for position, split in self._splits.items():
            dataset = loaders[position].dataset
            queries = _in_order(parts[position], len(dataset))
            if not np.isfinite(queries).all():
                raise InputError(
                    "CLIP_MODEL gives embeddings that are not numbers; check CLIP_CHECKPOINT"
                )
            names = [dataset.filename(index) for index in range(len(dataset))]
            pairs.append(
                table.make_pairs(split, names, corpus.ids, *top_k(queries, bank, self._top_k))
            )
            datasets[split] = {"class": provenance.class_path(dataset), "length": len(dataset)}
        table.write_pairs(
            pd.concat(pairs, ignore_index=True),
            self._output_file,
            {
                "kind": table.KIND,
                "clip": dict(clip.identity),
                "reports": {"source": corpus.source, "sha256": corpus.sha256, "count": len(corpus)},
                "datasets": datasets,
                "top_k": self._top_k,
                "versions": provenance.versions(),
            },
        )
        print(f"Pairing table: {self._output_file}")


def _loaders(trainer: pl.Trainer) -> list[Any]:
    """Returns the data loaders of the predict datasets."""
    loaders: Any = trainer.predict_dataloaders
    return loaders if isinstance(loaders, list) else [loaders]


def _in_order(parts: list[tuple[Sequence[int], np.ndarray]], length: int) -> np.ndarray:
    """Puts the embeddings of batches into the dataset's order [length, d].

    Raises:
        InputError: Not every image was read.
    """
    indices = [index for batch, _ in parts for index in batch]
    if sorted(set(indices)) != list(range(length)):
        raise InputError(
            f"only {len(set(indices))} of {length} images were read; pair whole datasets, without "
            "limit_predict_batches or a sampler"
        )
    values = np.concatenate([embeddings for _, embeddings in parts])
    ordered = np.empty_like(values, shape=(length, values.shape[1]))
    ordered[indices] = values
    return ordered


def _gather(embeddings: dict[int, list]) -> dict[int, list]:
    """Returns the embeddings of all processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return embeddings
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, embeddings)
    return {
        position: [part for share in gathered for part in share[position]]
        for position in embeddings
    }
