"""Encoders, reports and batches of the sizes that are used in practice, with random content."""

import json
from pathlib import Path
from typing import Any

import open_clip
import safetensors.torch
import timm
import torch
from torch import nn

from clipit_eva.pairing import ReportSource

FEATURES = {"vit_small_patch16_224": 384, "vit_large_patch16_224": 1024}
"""Width of the embeddings of the backbones in use."""

EMBED_DIM = 512
"""Width of the report embeddings."""

CONTEXT = 128
"""Tokens that the text tower reads."""


def make_backbone(name: str, depth: int) -> nn.Module:
    """Returns a timm ViT of some depth with random weights."""
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, num_classes=0, depth=depth)


def make_batch(size: int, distinct: int, classes: int, device: str) -> list[Any]:
    """Returns random images, targets, and which of some distinct reports each is paired with."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(size, 3, 224, 224, generator=generator)
    targets = torch.randint(classes, (size,), generator=generator)
    rows = torch.arange(size).remainder(distinct)[torch.randperm(size, generator=generator)]
    metadata = {
        # On the CPU, where the trainer leaves it for reports that are encoded.
        "report_index": rows.unsqueeze(1),
        "report_weight": torch.ones(size, 1, device=device),
    }
    return [images.to(device), targets.to(device), metadata]


def write_clip(folder: Path, architecture: dict[str, Any]) -> None:
    """Writes an open_clip model with random weights."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**json.loads(json.dumps(architecture)))  # a copy: it is changed
    config = {"model_cfg": architecture, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    safetensors.torch.save_file(state, folder / "open_clip_model.safetensors")


def write_reports(folder: Path, count: int, depth: int) -> ReportSource:
    """Writes reports that fill the context, and a CLIP model with random weights.

    The image tower is a token: training does not use it.
    """
    text = {"context_length": CONTEXT, "vocab_size": 49408, "width": 768, "heads": 12}
    architecture = {
        "embed_dim": EMBED_DIM,
        "vision_cfg": {"image_size": 32, "patch_size": 32, "width": 64, "layers": 1},
        "text_cfg": {**text, "layers": depth},
    }
    write_clip(folder, architecture)
    words = ("gland", "stroma", "nucleus", "margin", "mitosis")
    lines = [
        " ".join(words[(report + place) % 5] for place in range(2 * CONTEXT))
        for report in range(count)
    ]
    lines = [f"case {report} {line}" for report, line in enumerate(lines)]
    (folder / "reports.txt").write_text("\n".join(lines))
    return ReportSource(
        str(folder / "reports.txt"), clip_model=str(folder), cache_dir=str(folder / "cache")
    )
