"""Training a head from our file of embeddings against eva's offline mode (one .pt file a sample).

Run: python benchmarks/cached_training.py

Both train the same linear head by eva's trainer and `HeadModule` for one epoch, batches of 256 (the
default of eva's configs), data loaded in the process itself, from the dataset's `setup` to the
trainer's end. The metrics are those of the configs: eva's compute all of them on each training
batch, `unimodal_cached` the loss alone. A second ratio has eva's metrics on both sides.
"""

import csv
import logging
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _common
import eva
import numpy as np
import torch
from eva.core.data.datamodules import schemas
from eva.core.data.datasets import EmbeddingsClassificationDataset
from eva.core.metrics import AverageLoss, MulticlassClassificationMetrics
from eva.core.metrics.structs import MetricsSchema
from eva.vision.data.datasets import vision
from torch import nn

from clipit_eva.data import EmbeddedDataset
from clipit_eva.embeddings import EmbeddedBackbone, embedded_split
from clipit_eva.embeddings.images import image_facts
from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.models import LinearHead

SAMPLES = 20_000
GROWTH = (2_000, 20_000, 200_000)
WIDTH = 384
CLASSES = 4
BATCH = 256
LIMIT = 0.1

Make = Callable[[], tuple[Any, nn.Module | None]]
"""Makes a dataset and the backbone that goes with it."""


class Tiles(vision.VisionDataset):
    """Images that nobody embeds here: they only identify the embeddings."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def __len__(self) -> int:
        return self._count

    def filename(self, index: int) -> str:
        """Returns a name."""
        return f"{index}.png"

    def load_data(self, index: int) -> torch.Tensor:
        """Returns an image."""
        return torch.full((3, 2, 2), float(index))

    def load_target(self, index: int) -> torch.Tensor:
        """Returns a class."""
        return torch.tensor(index % CLASSES)


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Measures both in turns, and ours with ten and a hundred times the samples."""
    logging.disable(logging.INFO)  # the trainer tells of each run
    repeats = 3 if options.quick else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = np.random.default_rng(0).normal(size=(SAMPLES, WIDTH)).astype(np.float32)
        offline = write_offline(folder / "offline", rows)
        cached = write_cached(folder / "cached", rows)
        train = partial(fit, folder=folder / "logs", device=options.device)
        calls: dict[str, Callable[[], object]] = {
            "eva's offline mode": lambda: train(offline, metrics(common=True)),
            "embedding file": lambda: train(cached, metrics(common=False)),
            "embedding file, eva's metrics": lambda: train(cached, metrics(common=True)),
        }
        seconds = _common.time_in_turns(calls, repeats, options.device)
        sizes = {"samples": SAMPLES, "width": WIDTH, "batch": BATCH}
        for call, limit in (("embedding file", LIMIT), ("embedding file, eva's metrics", None)):
            quantity = f"{call} / eva's offline mode, {SAMPLES:,} samples"
            yield _common.ratio(quantity, seconds, call, "eva's offline mode", limit, **sizes)
        for count in GROWTH[: 2 if options.quick else 3]:
            rows = np.random.default_rng(0).normal(size=(count, WIDTH)).astype(np.float32)
            cached = write_cached(folder / f"cached{count}", rows)
            call = {"ours": lambda made=cached: train(made, metrics(common=False))}
            times = _common.time_in_turns(call, 3, options.device)["ours"]
            each = [1e6 * time / count for time in times]
            quantity = f"epoch from the embedding file, {count:,} samples"
            yield _common.median(quantity, each, "us/sample", samples=count)


def metrics(common: bool) -> MetricsSchema:
    """Returns the metrics of eva's configs, or those of `unimodal_cached`."""
    several = MulticlassClassificationMetrics(num_classes=CLASSES)
    if common:
        return MetricsSchema(common=[AverageLoss(), several])
    return MetricsSchema(common=[AverageLoss()], evaluation=[several])


def write_offline(folder: Path, rows: np.ndarray) -> Make:
    """Writes files as eva does; returns what makes its dataset (and no backbone)."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["origin", "embeddings", "target", "split"])
        for number, row in enumerate(rows):
            torch.save(torch.tensor(row), folder / f"{number}.pt")
            writer.writerow([f"{number}.png", f"{number}.pt", number % CLASSES, "train"])
    dataset = partial(EmbeddingsClassificationDataset, str(folder), "manifest.csv", split="train")
    return lambda: (dataset(), None)


def write_cached(folder: Path, rows: np.ndarray) -> Make:
    """Writes files as `EmbeddingsWriter` does; returns what makes our dataset and backbone."""
    backbone = EmbeddedBackbone("synthetic", None, str(folder))
    backbone.keep_record("none", WIDTH)
    tiles = Tiles(len(rows))
    facts = {**image_facts(tiles, "train", backbone.root), **backbone.identity, "weights": "none"}
    kept = RowStore(folder, embedded_split.KIND, facts, len(rows), WIDTH)
    with kept.lock():
        kept.start()
        kept.write(range(len(rows)), rows)
        kept.finish()
    embedded_split.complete(kept, np.arange(len(rows)) % CLASSES)

    def make() -> tuple[Any, nn.Module | None]:
        embedded_split._digest.cache_clear()  # so that the checksum is computed each time
        return EmbeddedDataset(Tiles(len(rows)), "train", backbone), backbone

    return make


def fit(make: Make, schema: MetricsSchema, folder: Path, device: str) -> None:
    """Trains a head for one epoch."""
    dataset, backbone = make()
    loader = eva.DataLoader(
        batch_size=BATCH,
        shuffle=True,
        num_workers=0,
        persistent_workers=False,
        prefetch_factor=None,
        pin_memory=device == "cuda",
    )
    data = eva.DataModule(
        schemas.DatasetsSchema(train=dataset), schemas.DataloadersSchema(train=loader)
    )
    model = eva.HeadModule(
        LinearHead(WIDTH, CLASSES), nn.CrossEntropyLoss(), backbone, metrics=schema
    )
    trainer = eva.Trainer(
        default_root_dir=str(folder),
        accelerator="gpu" if device == "cuda" else "cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, datamodule=data)


if __name__ == "__main__":
    _common.main(__doc__, measure)
