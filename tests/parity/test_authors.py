"""Our module against numbers made by the CLIP-IT authors' own training code.

The fixture's form: initial weights, five batches, step-0 outputs, losses, final weights, of a toy
backbone and text tower. See the metadata of the file for widths, LoRA and optimizer settings. Our
module is made by its arguments, and by eva's parser from the shipped config of the authors' recipe.
"""

import copy
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jsonargparse
import pytest
import torch
from eva.core import interface
from safetensors import safe_open
from torch import nn

from clipit_eva.eva import activation
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings, inject_lora
from clipit_eva.models.report_features import EncodedReports
from clipit_eva.tasks import configs, synthetic

VISION = "vision_model.base_model.model."
TOWER = "reports.encoder."
KINDS = {
    "Linear": f"{VISION}model.3.lora_A.",
    "Embedding": "model.0.lora_embedding_A",
    "Conv2d": f"{VISION}model.0.lora_A.",
}
"""Kinds of layer that LoRA can be on, each with a part of a weight's name that is there then."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "authors_file" in metafunc.fixturenames:
        files = metafunc.config.fixture_files("authors_training_steps_*.safetensors")
        metafunc.parametrize("authors_file", files, ids=lambda path: path.stem)


class ToyText(nn.Module):
    """The fixture's text tower: the mean over tokens of a small network."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Embedding(vocabulary, width),
            nn.Linear(width, width),
            nn.Tanh(),
            nn.Linear(width, width),
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(tokens).mean(dim=1)


def by_arguments(facts: dict[str, Any], folder: Path) -> tuple[CLIPITModule, float]:
    """Returns our module made as the API does, and the norm that gradients are clipped to."""
    module = CLIPITModule(
        nn.Identity(),
        in_features=facts["d"],
        num_classes=facts["num_classes"],
        text_features=facts["t"],
        criterion="softmax_cross_entropy",
        distill_weight=1.0,
        lora=LoRASettings(
            facts["lora_r"], facts["lora_alpha"], 0, facts["targets"], text=facts["lora_text"]
        ),
        vision_head_lora=True,
        optimizer=lambda parameters: torch.optim.Adam(
            parameters, lr=facts["lr"], weight_decay=facts["weight_decay"]
        ),
    )
    return module, facts["gradient_clip_norm"]


def by_config(facts: dict[str, Any], folder: Path) -> tuple[CLIPITModule, float]:
    """Returns the same as eva's parser makes it of the shipped config.

    Of the environment are only widths and the numbers that toys have of their own.
    """
    module, clip = _parsed(json.dumps(facts), folder)
    return copy.deepcopy(module), clip


@functools.cache
def _parsed(facts_as_json: str, folder: Path) -> tuple[CLIPITModule, float]:
    facts = json.loads(facts_as_json)
    activation.register_backbones()
    environment = {
        **synthetic.SHARED,
        "OUTPUT_ROOT": str(folder),
        "IN_FEATURES": str(facts["d"]),
        "TEXT_FEATURES": str(facts["t"]),
        "LORA_RANK": str(facts["lora_r"]),
        "LORA_ALPHA": str(facts["lora_alpha"]),
        "LR_VALUE": str(facts["lr"]),
        "WEIGHT_DECAY": str(facts["weight_decay"]),
    }
    if not facts["lora_text"]:
        environment["LORA_TEXT"] = "false"
    if facts["targets"] != list(KINDS):
        environment["LORA_TARGETS"] = f"[{', '.join(facts['targets'])}]"
    task = {2: "patch_camelyon", 9: "crc"}.get(facts["num_classes"], "bach")
    arguments = ["fit", "--config", str(configs.path(f"clip_it_authors/{task}"))]
    if task == "bach":
        arguments.append(f"--model.init_args.num_classes={facts['num_classes']}")
    made: dict[str, Any] = {}
    session = mock.patch(
        "eva.core.interface.interface.eva_trainer.run_evaluation_session",
        lambda **given: made.update(given),
    )
    with session, mock.patch.dict(os.environ, environment):
        jsonargparse.CLI(  # as eva's own command does
            interface.Interface, args=arguments, parser_mode="omegaconf", fail_untyped=False
        )
    return made["base_model"], made["base_trainer"].gradient_clip_val


class Authors:
    """One fixture file, and our module with its initial weights."""

    def __init__(self, path: Path, make: Callable[..., Any], folder: Path) -> None:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        has = [kind for kind, part in KINDS.items() if any(part in name for name in self.tensors)]
        self.config = {**json.loads(metadata["config"]), "targets": has}
        self.trainable = json.loads(metadata["trainable"])
        self.module, self.clip = make(self.config, folder)
        self._build()

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    def _build(self) -> None:
        config, initial, module = self.config, self.group("initial/"), self.module
        channels, _, kernel, _ = initial[f"{VISION}model.0.base_layer.weight"].shape
        flat = initial[f"{VISION}model.3.base_layer.weight"].shape[1]
        module.backbone = nn.Sequential(
            nn.Conv2d(3, channels, kernel, kernel),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(flat, config["d"]),
        )
        module.configure_model()
        tower = self._build_text_tower(initial)
        tokens = self.tensors["tokens"].flatten(0, 1)
        module.reports = EncodedReports(
            tower,
            [" ".join(map(str, row)) for row in tokens.tolist()],
            lambda texts: torch.tensor([[int(word) for word in text.split()] for text in texts]),
        )
        state = {self.our_name(name): value for name, value in initial.items()}
        state.pop(None, None)
        assert set(state) == set(module.state_dict())
        module.load_state_dict(state)

    def _build_text_tower(self, initial: dict[str, torch.Tensor]) -> nn.Module:
        ours = {self.our_name(name): tensor for name, tensor in initial.items()}
        embedding = next(
            tensor
            for name, tensor in ours.items()
            if name in (f"{TOWER}model.0.weight", f"{TOWER}model.0.base_layer.weight")
        )
        tower = ToyText(len(embedding), self.config["t"]).requires_grad_(False)
        if self.config["lora_text"]:
            inject_lora(tower, self.module._lora, self.module._vision_targets)
        return tower

    def our_name(self, name: str) -> str | None:
        """Maps the authors' name of a weight to ours; None for layers that are never used."""
        text = name.removeprefix("text_model.base_model.model.").removeprefix("text_model.")
        if name.startswith("text_model."):
            return f"{TOWER}{text}" if text.startswith("model.") else None
        if name.startswith(f"{VISION}fc."):
            return name.replace(f"{VISION}fc.", "heads.vision.")
        if name.startswith(f"{VISION}model."):
            return name.replace(f"{VISION}model.", "backbone.")
        for theirs, ours in [
            ("fc0.", "text."),
            ("fc.", "fusion."),
            ("vision_to_text.", "projection."),
        ]:
            if name.startswith(theirs):
                return f"heads.{ours}{name.removeprefix(theirs)}"
        raise KeyError(name)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        size = self.config["batch"]
        rows = torch.arange(step * size, (step + 1) * size).unsqueeze(1)
        metadata = {"report_index": rows, "report_weight": torch.ones(size, 1)}
        return self.tensors["images"][step], self.tensors["targets"][step], metadata


@pytest.fixture(params=[by_arguments, by_config])
def authors(authors_file, request, tmp_path_factory):
    return Authors(authors_file, request.param, tmp_path_factory.getbasetemp())


def _train(authors: Authors) -> tuple[list[float], list[float]]:
    """Trains as the authors do; returns losses and gradient norms."""
    module = authors.module
    module.log = lambda *args, **kwargs: None  # no trainer here
    module.train()
    optimizer = module.configure_optimizers()["optimizer"]
    losses, norms = [], []
    for step in range(authors.config["steps"]):
        loss = module.training_step(authors.batch(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        parameters = [p for p in module.parameters() if p.requires_grad]
        norms.append(nn.utils.clip_grad_norm_(parameters, authors.clip).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def _close(ours: torch.Tensor, theirs: torch.Tensor, bound: float = 1e-5) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=bound)


def test_authors_step0_outputs(authors: Authors) -> None:
    module, expected = authors.module, authors.group("step0/")
    images, _, metadata = authors.batch(0)
    with torch.no_grad():
        embedding = module.backbone(images)
        outputs = module.branches(images)
        text = module._paired_text(metadata)
    _close(embedding, expected["vision_embedding"])
    _close(text, expected["text_embedding"])
    _close(outputs.projected, expected["vision_to_text"])
    _close(outputs.vision, expected["vision_logits"])
    _close(outputs.text, expected["text_branch_logits"])
    _close(outputs.fused, expected["fused_logits"])


def test_authors_step0_losses(authors: Authors) -> None:
    from clipit_eva.models.losses import CRITERIA, distillation_loss

    expected = authors.group("step0/")
    images, targets, metadata = authors.batch(0)
    with torch.no_grad():
        outputs = authors.module.branches(images)
        text = authors.module._paired_text(metadata)
        _close(
            CRITERIA["softmax_cross_entropy"]()(outputs.fused, targets),
            expected["loss_classification"],
        )
        _close(
            CRITERIA["cross_entropy"]()(outputs.fused, targets),
            expected["loss_classification_on_logits"],
        )
        _close(distillation_loss(outputs.projected, text), expected["loss_distillation"])


def test_authors_training(authors: Authors) -> None:
    losses, norms = _train(authors)
    _close(torch.tensor(losses), authors.tensors["losses"])
    _close(torch.tensor(norms[0]), authors.tensors["step0/grad_norm"])
    ours = authors.module.state_dict()
    trained = [name for name in authors.trainable if authors.our_name(name)]
    assert trained
    for name in trained:
        _close(ours[authors.our_name(name)], authors.tensors[f"final/{name}"], 1e-4)


def test_authors_trainable_set(authors: Authors) -> None:
    ours = {name for name, p in authors.module.named_parameters() if p.requires_grad}
    assert ours == {authors.our_name(name) for name in authors.trainable} - {None}
