"""A small dataset in eva's sense, and its embeddings by the demo's backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import pytest
import torch
from eva.core.data.datamodules import schemas
from eva.vision.data.datasets import vision
from torch import nn

from clipit_eva.demo import settings
from clipit_eva.embeddings import EmbeddedBackbone, EmbeddingsWriter


class Tiles(vision.VisionDataset):
    """Random images with given labels; notes which images are read."""

    def __init__(self, count: int = 10, seed: int = 0, classes: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(count, 3, 16, 16, generator=generator)
        self.labels = torch.arange(count) % classes
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def filename(self, index: int) -> str:
        return f"tile {index}.png"

    def load_data(self, index: int) -> torch.Tensor:
        self.read.append(index)
        return self.images[index]

    def load_target(self, index: int) -> torch.Tensor:
        return self.labels[index]


@pytest.fixture
def tiles() -> type[Tiles]:
    """Returns the class of the dataset."""
    return Tiles


@pytest.fixture
def backbone(tmp_path: Path) -> EmbeddedBackbone:
    """The demo's backbone, with an empty folder for embeddings."""
    return EmbeddedBackbone(settings.NAME, None, str(tmp_path / "embeddings"))


@pytest.fixture
def embed(backbone: EmbeddedBackbone, tmp_path: Path) -> Callable[..., None]:
    """Returns a function that embeds datasets through the trainer."""

    def run(datasets: dict[str, Any], batch_size: int = 4, **options: Any) -> None:
        writer = EmbeddingsWriter(
            options.pop("backbone", backbone), options.pop("splits", dict(enumerate(datasets)))
        )
        loader = eva.DataLoader(
            batch_size=batch_size,
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
            prefetch_factor=None,
        )
        data = eva.DataModule(
            schemas.DatasetsSchema(predict=list(datasets.values())),
            schemas.DataloadersSchema(predict=loader),
        )
        trainer = eva.Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            default_root_dir=str(tmp_path / "logs"),
            callbacks=[writer],
            **options,
        )
        trainer.predict(eva.InferenceModule(nn.Identity()), datamodule=data)

    return run
