"""Time of inference by an exported run, and by the run itself, against eva's linear probe.

Run: python benchmarks/inference.py

All three have the same ViT-S/16 with random weights at 224 pixels. The exported classifier is read
from its file, as `eva predict` reads it; the run has its LoRA layers and all its heads.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import _common
import _models
import eva
import torch
from torch import nn

from clipit_eva.export.classifier_files import write_classifier
from clipit_eva.export.fused_heads import describe_head
from clipit_eva.export.module import ExportedModule
from clipit_eva.export.source import TrainedRun
from clipit_eva.export.timm_backbone import describe_backbone
from clipit_eva.models import CLIPITModule, TrainedCLIPITModule
from clipit_eva.models.heads import LinearHead
from clipit_eva.models.lora import lora_layers

CLASSES = 4
LIMIT = 1.02


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Measures at batch 16, and unless quick at other sizes."""
    repeats = 15 if options.quick else 41
    yield from compare("vit_small_patch16_224", 16, options.device, repeats)
    if options.quick:
        return
    for batch in (1, 10, 100):
        yield from compare("vit_small_patch16_224", batch, options.device, 15)
    if options.device == "cuda":
        for batch in (64, 256):
            yield from compare("vit_large_patch16_224", batch, options.device, 41, bfloat16=True)


def compare(
    name: str, batch: int, device: str, repeats: int, bfloat16: bool = False
) -> Iterator[_common.Result]:
    """Compares exported files and the run with the linear probe, on one batch of images."""
    depth = {"vit_small_patch16_224": 12, "vit_large_patch16_224": 24}[name]
    images = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(name, depth, Path(folder), onnx=device == "cpu")
        calls = {
            label: partial(_classify, model.to(device).eval(), images.to(device), bfloat16)
            for label, model in models.items()
        }
        seconds = _common.time_in_turns(calls, repeats, device, warm_up=2)
    details: dict[str, Any] = {"backbone": name, "batch": batch, "bfloat16": bfloat16}
    for label in list(models)[1:]:
        limit = LIMIT if label == "exported" and batch >= 16 else None
        quantity = f"{label} / eva linear probe ({name}, batch {batch})"
        yield _common.ratio(quantity, seconds, label, "probe", limit, **details)


def make_models(name: str, depth: int, folder: Path, onnx: bool) -> dict[str, nn.Module]:
    """Returns the linear probe, the exported classifier and the run, images -> logits."""
    make: Callable[[], nn.Module] = partial(_models.make_backbone, name, depth)
    width = _models.FEATURES[name]
    probe = eva.HeadModule(LinearHead(width, CLASSES), nn.CrossEntropyLoss(), make())
    probe.configure_model()
    run = make_run(make, width, folder / "best.ckpt")
    file = folder / "model.safetensors"
    export(run, file)
    models: dict[str, nn.Module] = {"probe": probe, "exported": ExportedModule(str(file))}
    if onnx:
        export(run, file.with_suffix(".onnx"))
        models["exported to ONNX"] = ExportedModule(str(file.with_suffix(".onnx")))
    return models | {"run with LoRA": run}


def make_run(make: Callable[[], nn.Module], width: int, path: Path) -> TrainedCLIPITModule:
    """Returns a run's module whose LoRA changes something."""
    module = CLIPITModule(
        make(), width, CLASSES, text_features=_models.EMBED_DIM, distill_weight=0.0
    )
    module.configure_model()
    for layer in lora_layers(module.backbone).values():
        nn.init.normal_(layer.lora_B["default"].get_parameter("weight"), std=0.01)
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    trained = TrainedCLIPITModule(make(), str(path))
    trained.configure_model()
    return trained


def export(run: TrainedCLIPITModule, path: Path) -> None:
    """Writes a run's classifier as `clipit-eva export` does."""
    heads: Any = run.heads
    backbone, head = TrainedRun(run.backbone, heads, "fused").plain()
    about = {
        "backbone": describe_backbone(backbone),
        "head": describe_head(head),
        "preprocessing": {"crop": 224},
        "branch": "fused",
        "criterion": "cross_entropy",
    }
    parts = nn.Sequential()
    parts.add_module("backbone", backbone)
    parts.add_module("head", head)
    write_classifier(parts.eval(), about, path)


def _classify(model: nn.Module, images: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Returns the logits, as `eva predict` computes them."""
    with torch.inference_mode(), torch.autocast(images.device.type, torch.bfloat16, bfloat16):
        return model(images)


if __name__ == "__main__":
    _common.main(__doc__, measure)
