"""What the module saves, reloads, and reports of several runs in eva's own trainer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import numpy as np
import pytest
import torch
from eva.core.interface import interface
from lightning.pytorch import callbacks
from scipy import special
from torch import nn

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.models import checkpoints
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings

MakeModule = Callable[..., CLIPITModule]
MakeData = Callable[..., eva.DataModule]
MakeTrainer = Callable[..., eva.Trainer]

TEXT_LORA = LoRASettings(rank=2, text=True)


class KeepInitial(callbacks.Callback):
    """Writes each run's weights before and after training into its folder."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self._save(trainer, pl_module, "initial.pt")

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._save(trainer, pl_module, "final.pt")

    @staticmethod
    def _save(trainer: Any, pl_module: Any, name: str) -> None:
        Path(trainer.log_dir).mkdir(parents=True, exist_ok=True)
        torch.save(pl_module.state_dict(), Path(trainer.log_dir, name))


class RemoveText(callbacks.Callback):
    """Removes all text once training has ended."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        for path in self._paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def logits(module: CLIPITModule, images: torch.Tensor) -> torch.Tensor:
    module.eval()
    with torch.inference_mode():
        return module(images)


def reload(module: CLIPITModule, path: Path) -> CLIPITModule:
    """Loads a checkpoint into a module as Lightning does."""
    content = torch.load(path, weights_only=True)
    module.configure_model()
    module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"], strict=True)
    return module


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"lora": LoRASettings(rank=2, dropout=0.2, targets=("Linear", "Conv2d"))},
        {"lora": LoRASettings(vision=False)},
        {"vision_head_lora": True},
        {"lora": TEXT_LORA},
    ],
    ids=["linear", "dropout and conv", "frozen", "vision head lora", "text lora"],
)
def test_checkpoint_holds_what_was_trained_and_reloads_exactly(
    fitted: Any, make_module: MakeModule, images: torch.Tensor, arguments: dict[str, Any]
) -> None:
    module, path, _ = fitted(**arguments)
    content = torch.load(path, weights_only=True)
    expected = trainable(module)
    if arguments.get("vision_head_lora"):
        expected |= {"heads.vision.base_layer.weight", "heads.vision.base_layer.bias"}
    saved = {n: t for n, t in content["state_dict"].items() if not n.startswith("reports.")}
    assert set(saved) == expected
    assert all(torch.equal(tensor, module.state_dict()[name]) for name, tensor in saved.items())
    torch.manual_seed(99)  # other initial layers
    other = reload(make_module(**arguments), path)
    assert torch.equal(logits(other, images), logits(module, images))


def test_text_lora_is_trained_and_saved(fitted: Any) -> None:
    module, _, watch = fitted(lora=TEXT_LORA)
    state = torch.load(watch.best, weights_only=True)["state_dict"]
    text = {name: tensor for name, tensor in state.items() if name.startswith("reports.")}
    layers = {name.partition(".lora_")[0] for name in text}
    assert text
    assert all(".lora_" in name for name in text)
    assert any(name.endswith("attn") for name in layers)
    assert any(name.endswith("c_fc") for name in layers)
    assert all(tensor.any() for name, tensor in text.items() if "lora_B" in name)
    assert len(watch.optimized) == len(trainable(module)) + len(text)


def test_text_lora_resumes_from_its_checkpoint(
    fitted: Any, make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    path = fitted(lora=TEXT_LORA)[2].best
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert [name for name in saved if name.startswith("reports.")]
    torch.manual_seed(7)
    module = make_module(lora=TEXT_LORA)
    found: dict[str, torch.Tensor] = {}

    class KeepText(callbacks.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            found.update({n: t.clone() for n, t in pl_module.state_dict().items() if n in saved})

    trainer = make_trainer(KeepText(), max_epochs=3)
    trainer.fit(module, datamodule=make_data(), ckpt_path=str(path))
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in saved.items())


def _strip(content: dict[str, Any]) -> None:
    del content["state_dict"]["heads.fusion.bias"]


def _add(content: dict[str, Any]) -> None:
    content["state_dict"]["backbone.cls_token"] = torch.zeros(1, 1, 32)


def _reshape(content: dict[str, Any]) -> None:
    content["state_dict"]["heads.fusion.bias"] = torch.zeros(5)


def _foreign(content: dict[str, Any]) -> None:
    del content[checkpoints.SETTINGS_KEY]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_strip, "lacks the trained tensor heads.fusion.bias"),
        (_add, "holds backbone.cls_token, which this model does not train"),
        (_reshape, r"heads.fusion.bias of shape \(5,\), the model of \(4,\)"),
        (_foreign, "not written by"),
    ],
)
def test_checkpoint_that_does_not_fit_is_refused(
    fitted: Any, make_module: MakeModule, tmp_path: Path, change: Any, message: str
) -> None:
    _, path, _ = fitted()
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, tmp_path / "changed.ckpt")
    with pytest.raises(InputError, match=message):
        reload(make_module(), tmp_path / "changed.ckpt")


def test_checkpoint_of_another_backbone_is_refused(
    fitted: Any, make_module: MakeModule, vit: Callable[[], nn.Module]
) -> None:
    _, path, _ = fitted()
    other = vit()
    with torch.no_grad():
        other.norm.bias[3] += 1e-6
    with pytest.raises(InputError, match="another backbone's weights; set MODEL_NAME"):
        reload(make_module(backbone=other), path)


def _session(trainer: eva.Trainer) -> tuple[dict[str, Any], list[Path]]:
    """The recorded metrics and the runs' folders of a finished session."""
    (file,) = Path(trainer.default_root_dir).rglob("results.json")
    runs = sorted(path.parent.parent for path in file.parent.rglob("best.ckpt"))
    return json.loads(file.read_text())["metrics"], runs


@pytest.mark.parametrize("method", ["fit", "predict_fit"])
def test_runs_of_a_session_differ_and_best_checkpoints_reproduce_their_metrics(
    method: str,
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    images: torch.Tensor,
    targets: torch.Tensor,
) -> None:
    torch.manual_seed(3)
    trainer = make_trainer(KeepInitial(), n_runs=2)
    getattr(interface.Interface(), method)(trainer, make_module(), make_data())
    metrics, runs = _session(trainer)
    assert [run.name for run in runs] == ["run_0", "run_1"]
    first, second = (torch.load(run / "initial.pt") for run in runs)
    for name in ("vision", "projection", "fusion", "text.0", "text.2"):
        assert not torch.equal(first[f"heads.{name}.weight"], second[f"heads.{name}.weight"])
    recorded = metrics["test"][0]
    losses = recorded["test/AverageLoss"]["values"]
    assert losses[0] != losses[1]
    for position, run in enumerate(runs):
        module = reload(make_module(), run / "checkpoints" / "best.ckpt")
        output = logits(module, images).double().numpy()
        each = -special.log_softmax(output, axis=1)[np.arange(12), targets.numpy()]
        loss = np.mean([each[:8].mean(), each[8:].mean()])  # eva's metric: the mean over batches
        assert losses[position] == pytest.approx(loss, abs=1e-6)
        accuracy = np.mean([(output.argmax(1) == c)[targets == c].mean() for c in range(4)])
        found = recorded["test/MulticlassAccuracy"]["values"][position]
        assert found == pytest.approx(accuracy, abs=1e-6)


def test_validation_and_test_need_no_text(
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    pairing_table: Path,
    clip_folder: Path,
    tmp_path: Path,
) -> None:
    clip = tmp_path / "clip"
    shutil.copytree(clip_folder, clip)
    reports = tmp_path / "reports.txt"
    source = ReportSource(str(reports), clip_model=str(clip), cache_dir=str(tmp_path / "cache"))
    text = (pairing_table, reports, clip, tmp_path / "cache")
    trainer = make_trainer(RemoveText(*text))
    trainer.run_evaluation_session(make_module(reports=source), make_data(reports=source))
    assert not any(path.exists() for path in text)
    assert _session(trainer)[0]["test"][0]["test/AverageLoss"]["values"]
