"""A small dataset in eva's sense, reports, and a small open_clip model."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import open_clip
import pytest
import safetensors.torch
import torch
from eva.vision.data.datasets import vision

from clipit_eva.pairing.report_source import ReportSource
from clipit_eva.pairing.writer import PairingWriter

CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 1},
}


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


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small random open_clip model."""
    folder = tmp_path_factory.mktemp("clip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = open_clip.CLIP(**json.loads(json.dumps(CLIP))).state_dict()
    config = {"model_cfg": CLIP, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def source(clip_folder: Path, tmp_path: Path) -> ReportSource:
    """Seven reports, and the small open_clip model."""
    path = tmp_path / "reports.csv"
    words = ["stroma", "gland", "mucin", "fat", "nerve", "vessel", "tumor"]
    rows = "".join(f"r{n},tissue with {word} and {word}\n" for n, word in enumerate(words))
    path.write_text(f"report_id,text\n{rows}")
    return ReportSource(str(path), clip_model=str(clip_folder), cache_dir=str(tmp_path / "cache"))


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
