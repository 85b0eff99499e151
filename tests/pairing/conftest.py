"""A small dataset in eva's sense, and pairing through eva's trainer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import pytest
import torch
from eva.vision.data.datasets import vision

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.pairing.pairing_writer import PairingWriter


class Tiles(vision.VisionDataset):
    """Random images as the CLIP model wants them, with the labels that are given."""

    def __init__(self, count: int, seed: int, labels: Callable[[int], int]) -> None:
        super().__init__()
        self._labels = labels
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(count, 3, 16, 16, generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def filename(self, index: int) -> str:
        return f"tile {index}.png"

    def load_data(self, index: int) -> torch.Tensor:
        return self.images[index]

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(self._labels(index))


@pytest.fixture
def tiles() -> Callable[..., Tiles]:
    """Returns a function that makes a dataset of random images."""

    def make(count: int = 10, seed: int = 0, labels: Callable[[int], int] = lambda n: 0) -> Tiles:
        return Tiles(count, seed, labels)

    return make


@pytest.fixture
def predict(
    source: ReportSource, predict_with: Callable[..., None], tmp_path: Path
) -> Callable[..., Path]:
    """Returns a function that pairs datasets through the trainer: the table."""

    def run(
        datasets: dict[str, Any], batch_size: int = 4, name: str = "pairs.parquet", **options: Any
    ) -> Path:
        arguments = {"top_k": 2, "reports": source, **options.pop("writer", {})}
        path = tmp_path / name
        splits = options.pop("splits", dict(enumerate(datasets)))
        writer = PairingWriter(output_file=str(path), splits=splits, **arguments)
        predict_with(writer, datasets.values(), batch_size, **options)
        assert writer._clip is None  # the model is freed
        return path

    return run
