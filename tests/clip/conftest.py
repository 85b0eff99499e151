"""Small random image-text models on disk, in the layouts that real ones come in."""

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
from safetensors import safe_open

from clipit_eva.clip.conch.architecture import ConchConfig

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 2},
}


@pytest.fixture
def read_conch() -> Callable[[Path], tuple[ConchConfig, dict[str, torch.Tensor]]]:
    """Returns a function that reads a fixture's sizes, and its tensors by name."""

    def read(path: Path) -> tuple[ConchConfig, dict[str, torch.Tensor]]:
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        vision, text = config["vision_cfg"], config["text_cfg"]
        given = {
            "embed_dim": config.get("embed_dim"),
            "embed_dim_caption": config.get("embed_dim_caption"),
            "image_size": vision.get("image_size"),
            "patch_size": vision.get("patch_size"),
            "vision_width": vision.get("width"),
            "vision_layers": vision.get("layers"),
            "vision_heads": vision.get("num_heads"),
            "pooler_heads": vision.get("attn_pooler_heads"),
            "contrast_queries": vision.get("n_queries_contrast"),
            "caption_queries": vision.get("n_queries_caption"),
            "context_length": text.get("context_length"),
            "vocab_size": text.get("vocab_size"),
            "text_width": text.get("width"),
            "text_layers": text.get("layers"),
            "text_heads": text.get("heads"),
        }
        return ConchConfig(**{n: v for n, v in given.items() if v is not None}), tensors

    return read


def tiny_model(architecture: dict[str, Any] = TINY, seed: int = 0) -> torch.nn.Module:
    """A random model of open_clip's own class, the reference for ours."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.CLIP(**json.loads(json.dumps(architecture)))
    return model.eval()


@pytest.fixture
def reference() -> torch.nn.Module:
    """The model in `tiny_folder`, as open_clip builds it."""
    return tiny_model()


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes an open_clip folder."""

    def write(
        name: str = "tiny-clip",
        architecture: dict[str, Any] = TINY,
        weights: dict[str, torch.Tensor] | None = None,
        preprocessing: dict[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        config = {"model_cfg": architecture, "preprocess_cfg": preprocessing or {}}
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        state = tiny_model(architecture).state_dict() if weights is None else weights
        safetensors.torch.save_file(
            {key: value.contiguous() for key, value in state.items()},
            folder / "open_clip_model.safetensors",
        )
        return folder

    return write


@pytest.fixture
def tiny_folder(write_folder: Callable[..., Path]) -> Path:
    """A folder with a small random open_clip model."""
    return write_folder()
