"""The paired report in place of the image."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from torch.utils.data import DataLoader, default_collate

from clipit_eva.data.paired_text import PairedTextDataset
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError

CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 1},
}


@pytest.fixture
def text_source(source: ReportSource, tmp_path: Path) -> ReportSource:
    """The reports of `source`, with a small random open_clip model."""
    folder = tmp_path / "clip"
    folder.mkdir()
    torch.manual_seed(0)
    state = open_clip.CLIP(**json.loads(json.dumps(CLIP))).state_dict()
    config = {"model_cfg": CLIP, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: tensor.contiguous() for name, tensor in state.items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")
    reports = str(tmp_path / "reports.csv")
    return ReportSource(reports, clip_model=str(folder), cache_dir=str(tmp_path / "cache"))


def test_sample_is_the_weighted_embedding_and_no_image_is_read(
    slides: Callable[..., Any],
    text_source: ReportSource,
    write_pairs: Callable[..., Path],
    neighbours: np.ndarray,
    similarities: np.ndarray,
) -> None:
    class Blind(slides):  # type: ignore[misc, valid-type]
        def load_data(self, index: int) -> torch.Tensor:
            raise AssertionError("an image was read")

    name = f"{Blind.__module__}.{Blind.__qualname__}"
    path = write_pairs(dataset=name)
    dataset = PairedTextDataset(Blind(), "train", text_source, str(path), top_k=2)
    dataset.setup()
    embeddings = np.asarray(text_source.embeddings(), dtype=float)
    scores = np.exp(similarities[:, :2].astype(float) / 0.07)
    weights = scores / scores.sum(axis=1, keepdims=True)
    data, targets, metadata = default_collate([dataset[index] for index in range(20)])
    expected = np.einsum("nk,nkt->nt", weights, embeddings[neighbours[:, :2]])
    assert data.dtype == torch.float32
    np.testing.assert_allclose(data.numpy(), expected, rtol=0, atol=1e-6)
    assert targets.tolist() == [int(dataset.load_target(index)) for index in range(20)]
    assert metadata["report_id"][3] == f"r{neighbours[3, 0]}"


def test_table_is_checked_as_for_images(
    slides: Callable[..., Any], text_source: ReportSource, write_pairs: Callable[..., Path]
) -> None:
    path = write_pairs(length=3)
    with pytest.raises(InputError, match="with 3 images"):
        PairedTextDataset(slides(), "train", text_source, str(path)).setup()


def test_batches_are_what_samples_make_and_labels_are_read_once(
    slides: Callable[..., Any], text_source: ReportSource, write_pairs: Callable[..., Path]
) -> None:
    class Counting(slides):  # type: ignore[misc, valid-type]
        labels_read = 0

        def load_target(self, index: int) -> torch.Tensor:
            self.labels_read += 1
            return super().load_target(index)

    inner = Counting()
    name = f"{Counting.__module__}.{Counting.__qualname__}"
    path = write_pairs(dataset=name)
    dataset = PairedTextDataset(inner, "train", text_source, str(path), top_k=2)
    dataset.setup()
    for _ in range(2):
        for batch, start in zip(DataLoader(dataset, batch_size=8), (0, 8, 16), strict=True):
            indices = range(start, min(start + 8, 20))
            data, targets, metadata = default_collate([dataset[index] for index in indices])
            np.testing.assert_allclose(batch[0], data, rtol=0, atol=1e-6)
            assert batch[0].dtype == data.dtype
            assert torch.equal(batch[1], targets)
            assert batch[2].keys() == metadata.keys()
            assert torch.equal(batch[2]["report_index"], metadata["report_index"])
            assert batch[2]["report_id"] == metadata["report_id"]
            assert batch[2]["site"] == metadata["site"]
    assert inner.labels_read == 20
