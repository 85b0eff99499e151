"""Tiny real inputs for the model: a timm ViT, an eva dataset, an open_clip model, reports."""

import os
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported; nothing may download

import eva
import numpy as np
import pytest
import timm
import torch
from eva.core.data.datamodules import schemas
from eva.core.metrics import AverageLoss, structs
from eva.core.metrics.defaults import BinaryClassificationMetrics, MulticlassClassificationMetrics
from eva.vision.data.datasets import vision
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from clipit_eva import provenance
from clipit_eva.data import FewLabels, PairedDataset
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs

SIZE = 16
FEATURES = 32
TEXT_FEATURES = 16
TISSUES = ("stroma", "necrosis", "lymphocytes", "mucin", "fat", "glands")


class TinyImages(vision.VisionDataset):
    """Noise whose mean depends on the class."""

    def __init__(self, count: int, num_classes: int, seed: int) -> None:
        super().__init__()
        self._count, self._num_classes, self._seed = count, num_classes, seed
        self.images, self.targets = torch.empty(0), torch.empty(0)

    def configure(self) -> None:
        generator = torch.Generator().manual_seed(self._seed)
        self.targets = torch.arange(self._count) % self._num_classes
        noise = torch.randn(self._count, 3, SIZE, SIZE, generator=generator)
        self.images = noise + 0.3 * self.targets.view(-1, 1, 1, 1)
        if self._num_classes == 2:
            self.targets = self.targets.float()  # as eva's PatchCamelyon has them

    def __len__(self) -> int:
        return len(self.images)

    def filename(self, index: int) -> str:
        return f"{index:03d}.png"

    def load_data(self, index: int) -> torch.Tensor:
        return self.images[index]

    def load_target(self, index: int) -> torch.Tensor:
        return self.targets[index]


@pytest.fixture
def vit() -> Callable[[], nn.Module]:
    """Returns a function that makes the same small random ViT each time."""

    def make() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return timm.models.VisionTransformer(
                img_size=SIZE,
                patch_size=8,
                embed_dim=FEATURES,
                depth=2,
                num_heads=2,
                num_classes=0,
            )

    return make


@pytest.fixture
def source(clip_folder: Path, tmp_path: Path) -> ReportSource:
    """Six reports of ten words, and the small open_clip model."""
    file = tmp_path / "reports.txt"
    file.write_text("\n".join(" ".join([f"{name} case {n}"] * 4) for n, name in enumerate(TISSUES)))
    return ReportSource(str(file), clip_model=str(clip_folder), cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def pairing_table(source: ReportSource, tmp_path: Path) -> Path:
    """Two reports for each of 24 `TinyImages`, at random."""
    corpus = source.corpus()
    generator = np.random.default_rng(0)
    neighbours = np.stack([generator.permutation(len(corpus))[:2] for _ in range(24)])
    similarities = -np.sort(-generator.random((24, 2)).astype(np.float32), axis=1)
    names = [f"{index:03d}.png" for index in range(24)]
    images = TinyImages(0, 2, 0)
    made_for = {"class": provenance.class_path(images), "length": 24}
    path = tmp_path / "pairs.parquet"
    write_pairs(
        make_pairs("train", names, corpus.ids, neighbours, similarities),
        path,
        {
            "datasets": {"train": made_for},
            "reports": {"sha256": corpus.sha256, "source": corpus.source},
        },
    )
    return path


MakeData = Callable[..., eva.DataModule]


@pytest.fixture
def make_data(source: ReportSource, pairing_table: Path) -> MakeData:
    """Returns a function that makes paired training data with plain validation and test data."""

    def make(
        num_classes: int = 4,
        distill_weight: float = 1.0,
        labels: Mapping[str, Any] | None = None,
        **paired: Any,
    ) -> eva.DataModule:
        arguments = {"reports": source, "pairing_table": str(pairing_table), "top_k": 2, **paired}
        train = PairedDataset(
            FewLabels(TinyImages(24, num_classes, 1), **(labels or {})),
            "train",
            distill_weight=distill_weight,
            **arguments,
        )
        loader = eva.DataLoader(
            batch_size=8,
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
            prefetch_factor=None,
        )
        return eva.DataModule(
            schemas.DatasetsSchema(
                train=train,
                val=TinyImages(12, num_classes, 2),
                test=TinyImages(12, num_classes, 3),
                predict=TinyImages(12, num_classes, 3),
            ),
            schemas.DataloadersSchema(train=loader, val=loader, test=loader, predict=loader),
        )

    return make


MakeModule = Callable[..., CLIPITModule]


@pytest.fixture
def make_module(source: ReportSource, vit: Callable[[], nn.Module]) -> MakeModule:
    """Returns a function that makes an untrained module on the small ViT."""

    def make(num_classes: int = 4, **arguments: Any) -> CLIPITModule:
        binary = num_classes == 2
        metrics = [
            AverageLoss(),
            BinaryClassificationMetrics() if binary else MulticlassClassificationMetrics(4),
        ]
        defaults: dict[str, Any] = {
            "backbone": vit(),
            "in_features": FEATURES,
            "num_classes": 1 if binary else num_classes,
            "text_features": TEXT_FEATURES,
            "reports": source,
            "criterion": "binary_cross_entropy" if binary else "cross_entropy",
            "lora": LoRASettings(rank=2),
            "optimizer": partial(torch.optim.Adam, lr=0.01),
            "metrics": structs.MetricsSchema(common=metrics),
        }
        return CLIPITModule(**{**defaults, **arguments})

    return make


MakeTrainer = Callable[..., eva.Trainer]


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    """Returns a function that makes eva's trainer, selecting the lowest validation loss."""

    def make(*callbacks: Callback, **arguments: Any) -> eva.Trainer:
        best = ModelCheckpoint(filename="best", monitor="val/AverageLoss", mode="min")
        folder = str(arguments.pop("default_root_dir", tmp_path / "logs"))
        defaults: dict[str, Any] = {
            "max_epochs": 2,
            "accelerator": "cpu",
            "logger": CSVLogger(folder),
            "log_every_n_steps": 100,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": folder,
            "callbacks": [best, *callbacks],
        }
        return eva.Trainer(**{**defaults, **arguments})

    return make


@pytest.fixture
def images() -> torch.Tensor:
    """The images of the test split."""
    dataset = TinyImages(12, 4, 3)
    dataset.setup()
    return dataset.images


@pytest.fixture
def targets() -> torch.Tensor:
    """The classes of the test split, of four."""
    return torch.arange(12) % 4


class Watch(Callback):
    """Keeps what is seen while training (of one run: eva copies callbacks)."""

    def __init__(self) -> None:
        self.modes: list[dict[str, bool]] = []
        self.reports: Any = None
        self.kind: type | None = None
        self.optimized: list[int] = []
        self.best = Path()

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        self.modes.append({name: module.training for name, module in pl_module.named_modules()})

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.kind = type(pl_module.reports)
        self.reports = weakref.ref(pl_module.reports) if pl_module.reports else None
        (optimizer,) = trainer.optimizers
        self.optimized = [id(p) for group in optimizer.param_groups for p in group["params"]]


@pytest.fixture
def fitted(
    make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer, tmp_path: Path
) -> Callable[..., tuple[CLIPITModule, Path, Watch]]:
    """Returns a function that trains a module: it, its last checkpoint, what was seen."""

    def fit(data: eva.DataModule | None = None, **arguments: Any):
        torch.manual_seed(1)
        module, watch = make_module(**arguments), Watch()
        trainer = make_trainer(watch)
        trainer.fit(module, datamodule=data or make_data())
        path = tmp_path / "last.ckpt"
        trainer.save_checkpoint(path)
        watch.best = Path(trainer.checkpoint_callback.best_model_path)
        return module, path, watch

    return fit
