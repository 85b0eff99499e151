"""The callback that pairs images with reports while `eva predict` reads them."""

import contextlib
import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from lightning.pytorch import callbacks
from typing_extensions import override

from clipit_eva import plugin, provenance
from clipit_eva.errors import InputError
from clipit_eva.pairing import table
from clipit_eva.pairing.encoding import IMAGE_BATCH, FixedBatches
from clipit_eva.pairing.images import PendingImages, image_facts
from clipit_eva.pairing.policies import CONTROLS, PairingPolicy
from clipit_eva.pairing.report_source import ReportSource
from clipit_eva.pairing.row_store import RowStore

if TYPE_CHECKING:
    from clipit_eva.clip.model import CLIPModel
    from clipit_eva.reports.windows import ReportWindows

plugin.activate()


class PairingWriter(callbacks.Callback):
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
        super().__init__()
        if top_k < 1:
            raise InputError(f"TOP_K={top_k} must be at least 1")
        self._source = reports
        self._output_file = Path(output_file)
        self._splits = dict(splits)
        self._top_k = top_k
        self._policy = policy
        self._held = contextlib.ExitStack()  # what is released at the end, however that comes
        self._clip: CLIPModel | None = None
        self._datasets: list[Any] = []
        self._stores: list[RowStore] = []
        self._batches: FixedBatches[tuple[int, int]] | None = None

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # Before the data loaders are made: only images without an embedding are to be read.
        if stage != "predict":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        given = data.datasets.predict
        self._datasets = list(given) if isinstance(given, list) else [given]
        self._check_splits()
        corpus = self._source.corpus()
        if self._top_k > len(corpus):
            raise InputError(f"TOP_K={self._top_k}, but REPORTS has {len(corpus)} report(s)")
        # Here and not in __init__: eva copies the trainer and its callbacks for each run.
        self._clip = self._source.load_clip()
        device = trainer.strategy.root_device
        self._clip.text_encoder.to(device)
        if self._policy.reads_images:
            self._source.embeddings(self._clip)  # what is wrong with it is said before the images
            self._open_stores(trainer, self._clip)
        self._clip.image_encoder.to(device)
        missing = [store.missing() for store in self._stores]
        pending = PendingImages(self._datasets, self._names, missing)
        self._batches = FixedBatches(self._clip.image_encoder, IMAGE_BATCH, self._write)
        self._held.callback(setattr, data, "datasets", data.datasets)
        data.datasets = dataclasses.replace(data.datasets, predict=pending)
        data.allow_zero_length_dataloader_with_multiple_devices = True
        if not len(pending):
            warnings.filterwarnings("ignore", message="Total length of `.*DataLoader` across ranks")
            self._pair(trainer)  # Lightning skips predicting without images

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
        if self._batches is None:
            raise RuntimeError("predicting has not started")
        images, places = batch
        self._batches.add([(position, row) for position, row in places.tolist()], images)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._batches is None:
            raise RuntimeError("predicting has not started")
        self._batches.flush()
        self._pair(trainer)

    @override
    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._release()

    @override
    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._release()

    @property
    def _names(self) -> list[str]:
        """The splits' names, by position."""
        return [self._splits[position] for position in sorted(self._splits)]

    def _check_splits(self) -> None:
        """Raises InputError unless each dataset has a split."""
        if sorted(self._splits) != list(range(len(self._datasets))):
            raise InputError(
                f"PairingWriter: splits names positions {sorted(self._splits)}, but there are "
                f"{len(self._datasets)} predict datasets; name each, counting from 0"
            )

    def _open_stores(self, trainer: pl.Trainer, clip: "CLIPModel") -> None:
        """Opens each split's embeddings; the first process makes room for them."""
        self._stores = [
            RowStore(
                self._source.cache_dir,
                "images",
                {**image_facts(dataset, split), **clip.identity},
                len(dataset),
                clip.embed_dim,
            )
            for dataset, split in zip(self._datasets, self._names, strict=True)
        ]
        if trainer.is_global_zero:
            for store in self._stores:
                self._held.enter_context(store.lock())
                store.start()
        trainer.strategy.barrier("embeddings have their place")

    def _write(self, places: Sequence[tuple[int, int]], embeddings: np.ndarray) -> None:
        """Keeps the embeddings of some images."""
        finite = np.isfinite(embeddings).all(axis=1)
        if not finite.all():
            position, row = places[int(np.argmin(finite))]
            raise InputError(
                f"image {row} ({self._datasets[position].filename(row)}) of split "
                f"{self._names[position]!r} has an embedding that is not numbers; check the image "
                "and CLIP_CHECKPOINT"
            )
        for position, store in enumerate(self._stores):
            mine = [place for place, (owner, _) in enumerate(places) if owner == position]
            store.write([places[place][1] for place in mine], embeddings[mine])

    def _pair(self, trainer: pl.Trainer) -> None:
        """Writes the table, once all processes have embedded their images."""
        trainer.strategy.barrier("images are embedded")
        clip = self._clip
        if not trainer.is_global_zero or clip is None:
            return
        for store in self._stores:
            if len(missing := store.missing()):
                raise InputError(
                    f"only {store.length - len(missing)} of {store.length} images were read; pair "
                    "whole datasets, without limit_predict_batches or a sampler (what was read is "
                    "kept)"
                )
            store.finish()
        units = self._source.units(clip)
        pairs = self._pairs(clip, units, str(trainer.strategy.root_device))
        table.write_pairs(pairs, self._output_file, self._provenance(clip, units))
        print(f"Pairing table: {self._output_file}")

    def _pairs(self, clip: "CLIPModel", units: "ReportWindows", device: str) -> pd.DataFrame:
        """Returns the table's rows."""
        policy = self._policy
        images: list[np.ndarray] = [np.empty((len(dataset), 0)) for dataset in self._datasets]
        bank = np.empty((len(units.chunks), 0))
        if policy.reads_images:
            images = [store.read() for store in self._stores]
            bank = self._source.embeddings(clip, units)
        names = self._names
        bias = policy.bias(images[names.index("train") if "train" in names else 0], bank, device)
        parts = []
        for position, (dataset, split) in enumerate(zip(self._datasets, names, strict=True)):
            rows, cosines = policy.pair(
                images[position], bank, self._top_k, bias=bias, stream=position, device=device
            )
            files = [dataset.filename(index) for index in range(len(dataset))]
            parts.append(table.make_pairs(split, files, units.ids, rows, cosines, units.chunks))
        return pd.concat(parts, ignore_index=True)

    def _provenance(self, clip: "CLIPModel", units: "ReportWindows") -> dict[str, Any]:
        """Returns how the table was made."""
        made = {
            "kind": table.KIND,
            "clip": dict(clip.identity),
            "reports": {
                "source": units.corpus.source,
                "sha256": units.sha256,
                "count": len(units.corpus),
                "policy": units.policy,
                "texts": len(units.spans),
                "dropped_share": units.dropped,
                "preparation": self._source.describe_preparation(),
            },
            "datasets": {
                split: {"class": provenance.class_path(dataset), "length": len(dataset)}
                for dataset, split in zip(self._datasets, self._names, strict=True)
            },
            "policy": self._policy.describe(),
            "top_k": self._top_k,
            "versions": provenance.versions(),
        }
        if self._policy.name in CONTROLS:
            made["control"] = self._policy.name
        return made

    def _release(self) -> None:
        """Frees the model and gives the data module its datasets back."""
        self._held.close()
        self._clip, self._batches, self._stores, self._datasets = None, None, [], []
