"""An exported classifier in eva's trainer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import pytest
import torch
from eva.core.data.datamodules import schemas
from eva.core.metrics import AverageLoss, structs
from eva.core.models.wrappers.onnx import ONNXModel
from eva.vision.data.datasets import vision
from torch import nn
from torch.nn import functional

from clipit_eva.errors import InputError
from clipit_eva.export.command import export_run
from clipit_eva.export.module import ExportedModule
from clipit_eva.predictions import PredictionsWriter
from clipit_eva.predictions.predictions_table import probabilities, read_predictions

from .conftest import MakeRun


class Noise(vision.VisionDataset):
    """Seven random images with classes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._classes = classes
        self.images = torch.randn(7, 3, 64, 64, generator=torch.Generator().manual_seed(4))
        self.targets = torch.arange(7) % max(2, classes)

    @property
    def classes(self) -> list[str]:
        return [str(position) for position in range(max(2, self._classes))]

    def __len__(self) -> int:
        return 7

    def filename(self, index: int) -> str:
        return f"{index}.png"

    def load_data(self, index: int) -> torch.Tensor:
        return self.images[index]

    def load_target(self, index: int) -> torch.Tensor:
        target = self.targets[index]
        return target.float() if self._classes == 1 else target


def make_data(images: Noise) -> eva.DataModule:
    loader: Any = {"num_workers": 0, "persistent_workers": False, "prefetch_factor": None}
    load = eva.DataLoader(batch_size=3, pin_memory=False, **loader)
    return eva.DataModule(
        schemas.DatasetsSchema(test=images, predict=images),
        schemas.DataloadersSchema(test=load, predict=load),
    )


def make_trainer(folder: Path, *callbacks: Any) -> eva.Trainer:
    return eva.Trainer(
        default_root_dir=str(folder),
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        checkpoint_type="last",
        callbacks=list(callbacks),
    )


METRICS = structs.MetricsSchema(common=[AverageLoss()])


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
@pytest.mark.parametrize("classes", [4, 1])
def test_predicts_and_tests_as_the_run(
    suffix: str, classes: int, clip_it_run: MakeRun, tmp_path: Path
) -> None:
    folder, run = clip_it_run(num_classes=classes)
    file = export_run(folder, tmp_path / f"model{suffix}").file
    images = Noise(classes)
    with torch.inference_mode():
        logits = run(images.images)
    writer = PredictionsWriter("fused", str(tmp_path / "predictions.parquet"))
    make_trainer(tmp_path, writer).predict(
        ExportedModule(str(file)), datamodule=make_data(images), return_predictions=False
    )
    rows, made = read_predictions(tmp_path / "predictions.parquet")
    found = rows[[name for name in rows if name.startswith("prob_")]].to_numpy()
    torch.testing.assert_close(found, probabilities(logits), rtol=0, atol=1e-4)
    assert made["checkpoint"] is not None
    (scores,) = make_trainer(tmp_path).test(
        ExportedModule(str(file), metrics=METRICS), datamodule=make_data(images), verbose=False
    )
    # eva's AverageLoss is the mean over batches.
    parts = zip(logits.split(3), images.targets.split(3), strict=True)
    loss: Callable[..., torch.Tensor] = (
        functional.cross_entropy
        if classes > 1
        else lambda x, y: functional.binary_cross_entropy_with_logits(x, y.float())
    )
    expected = torch.stack([loss(x, y) for x, y in parts]).mean()
    assert scores["test/AverageLoss"] == pytest.approx(float(expected), abs=1e-4)


def test_onnx_runs_in_evas_own_classes(clip_it_run: MakeRun, tmp_path: Path) -> None:
    folder, run = clip_it_run()
    file = export_run(folder, tmp_path / "model.onnx").file
    images = Noise(4)
    probe = eva.HeadModule(
        head=nn.Identity(),
        criterion=nn.CrossEntropyLoss(),
        backbone=ONNXModel(str(file)),
        metrics=METRICS,
    )
    (scores,) = make_trainer(tmp_path).test(probe, datamodule=make_data(images), verbose=False)
    with torch.inference_mode():
        parts = [functional.cross_entropy(run(x), y) for x, y in _batches(images)]
    assert scores["test/AverageLoss"] == pytest.approx(float(torch.stack(parts).mean()), abs=1e-4)


def _batches(images: Noise) -> Any:
    return zip(images.images.split(3), images.targets.split(3), strict=True)


def test_criterion_can_be_given_and_has_to_fit(clip_it_run: MakeRun, tmp_path: Path) -> None:
    folder, _ = clip_it_run()
    file = str(export_run(folder, tmp_path / "model.safetensors").file)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    assert ExportedModule(file, criterion=smooth).criterion is smooth
    with pytest.raises(InputError, match="CRITERION=binary_cross_entropy does not fit 4"):
        ExportedModule(file, criterion="binary_cross_entropy")
