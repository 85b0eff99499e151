"""Backbones by name, and what configs leave to them: real eva and timm models, random weights."""

import inspect
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from eva.vision.data.transforms.common import ResizeAndCrop
from eva.vision.models import ModelFromRegistry
from eva.vision.models import backbones as of_eva
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.eva import backbones, mistakes

DOC = Path(__file__).parents[2] / "docs" / "backbones.md"


class Own(nn.Module):
    """A user's backbone."""

    pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}  # noqa: RUF012

    def __init__(self, width: int, **others: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 8, 8)
        self.others = others

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean(dim=(2, 3))


def make(name: str, own: dict[str, Any] | None = None) -> ModelFromRegistry:
    arguments = {"model_name": name, "model_extra_kwargs": own or {}}
    with mistakes.construction(ModelFromRegistry, arguments):
        return ModelFromRegistry(**arguments)


def head_of(backbone: nn.Module, width: Any = "0") -> Any:
    head = {"class_path": "clipit_eva.models.LinearHead", "init_args": {"in_features": width}}
    filled = backbones.fill(nn.Module, {"backbone": backbone, "head": head})
    return filled["head"]["init_args"]["in_features"]


def test_class_by_import_path_gets_all_arguments() -> None:
    name = f"{__name__}.Own"
    for own in ({"width": 7}, {"width": 5, "depth": 3}):  # made twice, with others
        model = make(name, own)
        assert model.model.others == {k: v for k, v in own.items() if k != "width"}
        assert head_of(model) == own["width"]
        colours = backbones.fill(ResizeAndCrop, {"size": 8, "mean": [], "std": [0.5] * 3})
        assert colours == {"size": 8, "mean": [0.1, 0.2, 0.3], "std": [0.5] * 3}


def test_function_by_import_path_and_timm_take_what_timm_takes() -> None:
    own = {"model_name": "resnet10t", "num_classes": 0}
    assert head_of(make("timm.create_model", own)) == 512
    assert head_of(make("timm/resnet10t", {"num_classes": 0})) == 512


def test_a_width_that_is_given_stays() -> None:
    assert head_of(make("timm/resnet10t"), 1000) == 1000


def test_classifiers_are_told_from_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("timm/resnet10t")
    with pytest.raises(InputError, match=r"timm/resnet10t gives the logits of 1000 classes"):
        head_of(model)
    monkeypatch.setenv("IN_FEATURES", "1000")
    assert head_of(model) == 1000


def test_reading_the_width_leaves_no_trace() -> None:
    model = make("timm/resnet10t", {"num_classes": 0}).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    head_of(model)
    assert all(part.training for part in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_default_backbones_own_are_the_values_of_before() -> None:
    """384, and ImageNet's mean and standard deviation."""
    model = make("universal/vit_small_patch16_224_random")
    assert head_of(model) == 384
    filled = backbones.fill(ResizeAndCrop, {"mean": [], "std": []})
    assert filled == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.Backbone", "none of eva's, and nothing can be imported there"),
        (f"{__name__}.Other", "none of eva's, and nothing can be imported there"),
        ("os.getcwd", "Expected an instance of .*Module"),
    ],
)
def test_what_is_no_backbone_is_told(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"MODEL_NAME={name}.*{message}"):
        make(name)


def test_code_that_a_file_names_runs_only_if_the_variable_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"{__name__}.Own"
    monkeypatch.delenv("MODEL_NAME", raising=False)
    with pytest.raises(InputError, match="set the variable MODEL_NAME"):
        backbones.check_trusted(name)
    monkeypatch.setenv("MODEL_NAME", name)
    backbones.check_trusted(name)
    backbones.check_trusted("pathology/mahmood_uni")


def test_weights_with_a_classifier_are_refused_by_file_and_keys(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(timm.create_model("resnet10t").state_dict(), file)
    with pytest.raises(InputError) as caught:
        make("timm/resnet10t", {"checkpoint_path": str(file)})
    line = str(caught.value)
    assert line.startswith(f"MODEL_EXTRA_KWARGS: {file} does not fit MODEL_NAME=timm/resnet10t")
    assert "holds fc.weight, fc.bias" in line
    assert "\n" not in line
    torch.save(timm.create_model("resnet10t", num_classes=0).state_dict(), file)
    assert head_of(make("timm/resnet10t", {"checkpoint_path": str(file)})) == 512


def test_table_of_pathology_backbones_is_up_to_date() -> None:
    """`DOCS=write pytest tests/eva/test_backbones.py -k table` writes it."""
    registry = of_eva.backbone_registry
    names = sorted(name for name in registry.entries() if name.startswith("pathology/"))
    assert names == sorted(backbones.PATHOLOGY)
    rows = []
    for name in names:
        width, colours = backbones.PATHOLOGY[name]
        mean, std = (f"`[{','.join(f'{value}' for value in part)}]`" for part in colours)
        token = "yes" if "hf_token" in inspect.signature(registry.get(name)).parameters else ""
        rows.append(f"| `{name}` | {width} | {mean} | {std} | {token} |\n")
    head, rule, _ = DOC.read_text("utf-8").partition("| --- | --- | --- | --- | --- |\n")
    expected = head + rule + "".join(rows)
    if os.environ.get("DOCS") == "write":
        DOC.write_text(expected, encoding="utf-8")
    assert DOC.read_text("utf-8") == expected
