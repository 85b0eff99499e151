"""Our module against numbers made by the CLIP-IT authors' own training code.

The fixture's form: initial weights, five batches, step-0 outputs, losses, final weights, of a toy
backbone and text tower. See the metadata of the file for widths, LoRA and optimizer settings.
"""

import json
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings, inject_lora
from clipit_eva.models.report_features import EncodedReports

VISION = "vision_model.base_model.model."
TOWER = "reports.encoder."


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


class Authors:
    """One fixture file, and our module with its initial weights."""

    def __init__(self, path: Any) -> None:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            self.tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.config = json.loads(metadata["config"])
        self.trainable = json.loads(metadata["trainable"])
        self.module = self._build()

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    def _build(self) -> CLIPITModule:
        config, initial = self.config, self.group("initial/")
        lora = LoRASettings(config["lora_r"], config["lora_alpha"], 0, ("Linear", "Conv2d"))
        channels, _, kernel, _ = initial[f"{VISION}model.0.base_layer.weight"].shape
        flat = initial[f"{VISION}model.3.base_layer.weight"].shape[1]
        backbone = nn.Sequential(
            nn.Conv2d(3, channels, kernel, kernel),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(flat, config["d"]),
        )
        module = CLIPITModule(
            backbone,
            in_features=config["d"],
            num_classes=config["num_classes"],
            text_features=config["t"],
            criterion="softmax_cross_entropy",
            distill_weight=1.0,
            lora=lora,
            vision_head_lora=True,
            optimizer=lambda parameters: torch.optim.Adam(
                parameters, lr=config["lr"], weight_decay=config["weight_decay"]
            ),
        )
        module.configure_model()
        tower = self._build_text_tower(config, initial)
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
        return module

    def _build_text_tower(
        self, config: dict[str, Any], initial: dict[str, torch.Tensor]
    ) -> nn.Module:
        ours = {self.our_name(name): tensor for name, tensor in initial.items()}
        embedding = next(
            tensor
            for name, tensor in ours.items()
            if name in (f"{TOWER}model.0.weight", f"{TOWER}model.0.base_layer.weight")
        )
        tower = ToyText(len(embedding), config["t"]).requires_grad_(False)
        adapted = sorted(
            {
                name.removeprefix(TOWER).partition(".lora_")[0]
                for name in ours
                if name and name.startswith(TOWER) and ".lora_" in name
            }
        )
        assert bool(adapted) == config["lora_text"]
        if adapted:
            inject_lora(tower, LoRASettings(config["lora_r"], config["lora_alpha"], 0, adapted))
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


@pytest.fixture
def authors(authors_file):
    return Authors(authors_file)


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
        norms.append(
            nn.utils.clip_grad_norm_(parameters, authors.config["gradient_clip_norm"]).item()
        )
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
