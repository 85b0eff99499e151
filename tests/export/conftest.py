"""Folders of runs as `eva fit` leaves them, with random weights instead of trained ones."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import numpy as np
import pytest
import torch
from eva.vision.models import ModelFromRegistry
from torch import nn

from clipit_eva.eva import activation
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings, lora_layers
from clipit_eva.predictions import predictions_table

DEMO = "clipit_eva/demo_vit"
activation.register_backbones()
CLASSES = ["Benign", "InSitu", "Invasive", "Normal"]
SEED = 7

MakeRun = Callable[..., tuple[Path, nn.Module]]


def perturb(module: nn.Module) -> None:
    """Gives what a run trains values as far from zero as training may."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.1 * noise.to(parameter.dtype)


def backbone(name: str = DEMO) -> nn.Module:
    """eva's backbone of a name, with the weights that a run's process would draw."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return ModelFromRegistry(name)


def describe(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


def dataset(size: int, root: str) -> dict[str, Any]:
    """What a run records of its test images."""
    transforms = describe(
        "eva.vision.data.transforms.common.resize_and_crop.ResizeAndCrop",
        size=size,
        mean=[0.5, 0.5, 0.5],
        std=[0.25, 0.25, 0.25],
    )
    return describe(
        "eva.vision.data.datasets.classification.bach.BACH",
        root=root,
        split="val",
        download=False,
        transforms=transforms,
    )


def write_run(
    folder: Path, model: dict[str, Any], checkpoint: dict[str, Any], classes: list[str], size: int
) -> None:
    """Writes a run's checkpoint, and a predictions table that names it."""
    path = folder / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True)
    torch.save(checkpoint, path)
    test = dataset(size, str(folder / "gone"))
    datasets = describe("eva.core.data.datamodules.schemas.DatasetsSchema", test=test, val=None)
    data = describe("eva.core.data.datamodules.datamodule.DataModule", datasets=datasets)
    probabilities = np.full((2, len(classes)), 1 / len(classes), dtype=np.float32)
    rows = predictions_table.make_rows("test", "fused", [0, 1], ["a", "b"], [0, 1], probabilities)
    provenance = {
        "kind": predictions_table.KIND,
        "config": {"model": model, "data": data},
        "seed": SEED,
        "run": str(folder),
        "checkpoint": hashlib.sha256(path.read_bytes()).hexdigest(),
        "inputs": {"pairing_table": "0" * 64},
        "datasets": [{"class": "BACH", "length": 2, "classes": classes}],
        "versions": {"torch": torch.__version__},
        "git_revision": None,
    }
    predictions_table.write_predictions(rows, folder / predictions_table.FILENAME, provenance)


@pytest.fixture
def clip_it_run(tmp_path: Path) -> MakeRun:
    """Returns a function that writes a CLIP-IT run: its folder, its module."""

    def make(
        folder: Path = tmp_path / "session" / "run_0",
        num_classes: int = 4,
        model_name: str = DEMO,
        size: int = 64,
        **arguments: Any,
    ) -> tuple[Path, nn.Module]:
        module = CLIPITModule(
            backbone(model_name),
            in_features=(features := _width(backbone(model_name), size)),
            num_classes=num_classes,
            text_features=24,
            criterion=(criterion := "cross_entropy" if num_classes > 1 else "binary_cross_entropy"),
            distill_weight=0.0,
            **{"lora": LoRASettings(rank=4), **arguments},
        )
        module.configure_model()
        perturb(module)
        assert len(lora_layers(module.backbone)) > 0 or "lora" in arguments
        checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
        module.on_save_checkpoint(checkpoint)
        reports = describe(
            "clipit_eva.embeddings.report_source.ReportSource", path="/private/r.csv"
        )
        model = describe(
            "clipit_eva.models.clipit_module.CLIPITModule",
            backbone=_recorded_backbone(model_name),
            in_features=features,
            criterion=criterion,
            distill_weight=0.0,
            reports=reports,
            metrics=None,
            postprocess=None,
        )
        classes = CLASSES if num_classes == 4 else ["no_tumor", "tumor"]
        write_run(folder, model, checkpoint, classes, size)
        return folder, module.eval()

    return make


@pytest.fixture
def unimodal_run(tmp_path: Path) -> MakeRun:
    """Returns a function that writes a run of eva's linear probe: its folder, its model."""

    def make(
        folder: Path = tmp_path / "session" / "run_0",
        model_name: str = DEMO,
        size: int = 64,
        recorded: dict[str, Any] | None = None,
        head: nn.Module | None = None,
    ) -> tuple[Path, nn.Module]:
        encoder = backbone(model_name)
        head = head or nn.Linear(_width(encoder, size), 4)
        state = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
        model = describe(
            "eva.core.models.modules.head.HeadModule",
            backbone=recorded or _recorded_backbone(model_name),
            criterion=describe("torch.nn.modules.loss.CrossEntropyLoss"),
            metrics=None,
            postprocess=None,
        )
        write_run(folder, model, {"state_dict": state}, CLASSES, size)
        return folder, nn.Sequential(encoder, head).eval()

    return make


def _recorded_backbone(name: str) -> dict[str, Any]:
    return describe(
        "eva.vision.models.wrappers.from_registry.ModelFromRegistry",
        model_name=name,
        model_kwargs=None,
        model_extra_kwargs=None,
        transforms=None,
    )


def _width(encoder: nn.Module, size: int) -> int:
    with torch.inference_mode():
        return encoder(torch.zeros(1, 3, size, size)).shape[1]


@pytest.fixture
def images() -> torch.Tensor:
    """Images as the demo's backbone takes them."""
    return torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(11))
