"""The callback that pairs images with reports while `eva predict` reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from typing_extensions import override

from clipit_eva import files, provenance
from clipit_eva.embeddings.embedder import ImageEmbedder
from clipit_eva.embeddings.embedding_callback import EmbeddingCallback
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.pairing import pairing_table
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.pairing.policies import PairingPolicy

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel
    from clipit_eva.reports.report_chunks import ReportChunks


class PairingWriter(EmbeddingCallback):
    """Embeds the images of `eva predict` with CLIP and writes the pairing table.

    The predict datasets must give each image as the CLIP model wants it
    (`clipit_eva.clip.CLIPPreprocess` as their transform). Labels are not read. Each image is
    embedded once: embeddings are kept on disk, and only images without one are read.

    Reference: arXiv 2504.16181, section 3(a), equation 1.
    """

    def __init__(
        self,
        reports: ReportSource,
        output_file: str,
        splits: Mapping[int, str],
        top_k: int = 1,
        policy: PairingPolicy = PairingPolicy(),  # noqa: B008 (frozen)
    ) -> None:
        """Initializes the callback; the model is loaded when predicting starts.

        Args:
            reports: The reports and the CLIP model; images' embeddings are kept in its folder too.
            output_file: The pairing table to write (.parquet); replaced if it exists.
            splits: Name of the split of each predict dataset, by its position.
            top_k: Number of reports for each image, at least 1.
            policy: How reports are chosen.

        Raises:
            InputError: `top_k` is below 1.
        """
        super().__init__(splits)
        if top_k < 1:
            raise InputError(f"TOP_K={top_k} must be at least 1")
        self._source = reports
        self._output_file = Path(output_file)
        self._top_k = top_k
        self._policy = policy
        self._clip: CLIPModel | None = None

    @override
    def start(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> int:
        files.check_writable(self._output_file)
        corpus = self._source.corpus()
        if self._top_k > len(corpus):
            raise InputError(
                f"TOP_K={self._top_k}, but REPORTS has {len(corpus)} report(s); lower it"
            )
        # Here and not in __init__: eva copies the trainer and its callbacks for each run.
        self._clip = clip = self._source.load_clip()
        device = trainer.strategy.root_device
        clip.text_encoder.to(device)
        if self._policy.reads_images:
            self._source.embeddings(clip)  # what is wrong with it is said before the images
            embedder.open(self._source.cache_dir, "images", clip.identity, clip.embed_dim)
        clip.image_encoder.to(device)
        return embedder.begin(clip.image_encoder, "CLIP_CHECKPOINT")

    @override
    def complete(self, trainer: pl.Trainer, embedder: ImageEmbedder) -> None:
        clip = self._clip
        if clip is None:
            raise RuntimeError("predicting has not started")
        chunks = self._source.chunks(clip)
        pairs = self._pairs(clip, chunks, embedder, str(trainer.strategy.root_device))
        pairing_table.write_pairs(
            pairs, self._output_file, self._provenance(clip, chunks, embedder)
        )
        print(f"Pairing table: {self._output_file}")

    def _pairs(
        self, clip: "CLIPModel", chunks: "ReportChunks", embedder: ImageEmbedder, device: str
    ) -> pd.DataFrame:
        """Returns the table's rows."""
        policy = self._policy
        images: list[np.ndarray] = [np.empty((len(dataset), 0)) for dataset in embedder.datasets]
        bank = np.empty((len(chunks.numbers), 0))
        if policy.reads_images:
            images = [store.read() for store in embedder.stores]
            bank = self._source.embeddings(clip, chunks)
        splits = embedder.splits
        bias = policy.bias(images[splits.index("train") if "train" in splits else 0], bank, device)
        parts = []
        for position, (dataset, split) in enumerate(zip(embedder.datasets, splits, strict=True)):
            rows, cosines = policy.pair(
                images[position], bank, self._top_k, bias=bias, stream=position, device=device
            )
            names = [dataset.filename(index) for index in range(len(dataset))]
            parts.append(
                pairing_table.make_pairs(split, names, chunks.ids, rows, cosines, chunks.numbers)
            )
        return pd.concat(parts, ignore_index=True)

    def _provenance(
        self, clip: "CLIPModel", chunks: "ReportChunks", embedder: ImageEmbedder
    ) -> dict[str, Any]:
        """Returns how the table was made."""
        made = {
            "kind": pairing_table.KIND,
            "clip": dict(clip.identity),
            "reports": {
                "source": chunks.corpus.source,
                "sha256": chunks.sha256,
                "count": len(chunks.corpus),
                "policy": chunks.policy,
                "texts": len(chunks.table),
                "dropped_share": chunks.dropped,
                "preparation": self._source.describe_preparation(),
            },
            "datasets": {
                split: {
                    "class": provenance.class_path(dataset),
                    "length": len(dataset),
                    "files": content,
                    # One's own images are made by more than a root and a split.
                    **(
                        {"arguments": more} if (more := getattr(dataset, "arguments", None)) else {}
                    ),
                }
                for dataset, split, content in zip(
                    embedder.datasets, embedder.splits, embedder.contents, strict=True
                )
            },
            "policy": self._policy.describe(),
            "top_k": self._top_k,
            "versions": provenance.versions(),
        }
        if self._policy.name in CONTROLS:
            made["control"] = self._policy.name
        return made

    @override
    def release(self) -> None:
        super().release()
        self._clip = None
