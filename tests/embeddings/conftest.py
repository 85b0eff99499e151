"""A small dataset in eva's sense, and its embeddings by the demo's backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from eva.vision.data.datasets import vision

from clipit_eva.embeddings import EmbeddedBackbone, EmbeddingsWriter
from clipit_eva.eva import activation
from clipit_eva.tasks import synthetic

activation.register_backbones()


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
    return EmbeddedBackbone(synthetic.NAME, None, str(tmp_path / "embeddings"))


@pytest.fixture
def embed(backbone: EmbeddedBackbone, predict_with: Callable[..., None]) -> Callable[..., None]:
    """Returns a function that embeds datasets through the trainer."""

    def run(datasets: dict[str, Any], batch_size: int = 4, **options: Any) -> None:
        writer = EmbeddingsWriter(
            options.pop("backbone", backbone), options.pop("splits", dict(enumerate(datasets)))
        )
        predict_with(writer, datasets.values(), batch_size, **options)

    return run
