"""Backbones as arguments of `timm.create_model`."""

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from eva.core.models.transforms import ExtractCLSFeatures
from eva.core.models.wrappers import ModelFromFunction
from eva.vision.models import ModelFromRegistry
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from clipit_eva.demo.demo_backbone import untrained
from clipit_eva.errors import InputError
from clipit_eva.eva import activation
from clipit_eva.export.timm_backbone import describe_backbone, unwrap

SMALL: dict[str, Any] = {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 3}
SWIGLU: dict[str, Any] = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU, "init_values": 1e-5}

BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "demo": untrained,
    "by class": lambda: VisionTransformer(**SMALL, num_classes=0),
    "by name": lambda: timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=2),
    "other eps": lambda: VisionTransformer(
        **SMALL, num_classes=0, norm_layer=functools.partial(nn.LayerNorm, eps=1e-5)
    ),
    "UNI": lambda: timm.create_model(
        "vit_small_patch16_224", num_classes=0, depth=2, init_values=1e-5, dynamic_img_size=True
    ),
    "UNI 2": lambda: timm.create_model(
        "vit_giant_patch14_dinov2",
        **SMALL | {"img_size": 28},
        **SWIGLU,
        num_classes=0,
        mlp_ratio=2.66667 * 2,
        no_embed_class=True,
        reg_tokens=8,
        dynamic_img_size=True,
    ),
    "Virchow 2": lambda: timm.create_model(
        "vit_base_patch16_224", **SMALL, **SWIGLU, num_classes=0, mlp_ratio=5.3375, reg_tokens=4
    ),
    "mean": lambda: VisionTransformer(**SMALL, num_classes=0, global_pool="avg", class_token=False),
    "convolutions": lambda: timm.create_model("resnet18", num_classes=0),
    "eva02": lambda: timm.create_model("eva02_tiny_patch14_224", num_classes=0),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_described_backbone_is_built_again(name: str) -> None:
    model = BACKBONES[name]().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    arguments = json.loads(json.dumps(describe_backbone(model)))
    again = timm.create_model(**arguments).eval()
    again.load_state_dict(model.state_dict())
    size = {"demo": 64, "UNI 2": 28}.get(name, 32 if isinstance(model, VisionTransformer) else 224)
    size = 224 if name in ("by name", "UNI") else size
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        assert torch.equal(again(images), model(images))


def test_sizes_of_the_architecture_are_left_out() -> None:
    model = timm.create_model("vit_small_patch16_224.dino", dynamic_img_size=True, depth=2)
    assert describe_backbone(model) == {
        "model_name": "vit_small_patch16_224",
        "pretrained": False,
        "num_classes": 0,
        "depth": 2,
        "dynamic_img_size": True,
    }


def test_backbones_of_the_registry_are_unwrapped() -> None:
    activation.register_backbones()
    for name in ("clipit_eva/demo_vit", "universal/vit_small_patch16_224_random"):
        model, output = unwrap(ModelFromRegistry(name))
        assert isinstance(model, VisionTransformer)
        assert output == {}


def test_class_token_is_taken_by_timm() -> None:
    """Virchow 2 and H0-mini give all tokens, of which eva's wrapper takes the first."""
    arguments = {**SMALL, "num_classes": 0, "global_pool": ""}
    wrapped = ModelFromFunction(
        VisionTransformer, arguments, transforms=ExtractCLSFeatures()
    ).eval()
    model, output = unwrap(wrapped)
    again = timm.create_model(**(describe_backbone(model) | output)).eval()
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(images), wrapped(images))


def test_what_cannot_be_described_is_refused() -> None:
    with pytest.raises(InputError, match=r"torch.nn.modules.linear.Linear; export knows models by"):
        unwrap(nn.Linear(3, 4))
    both = ExtractCLSFeatures(include_patch_tokens=True)
    with pytest.raises(InputError, match="ends in ExtractCLSFeatures"):
        unwrap(ModelFromFunction(VisionTransformer, dict(SMALL), transforms=both))
    odd = VisionTransformer(**SMALL, num_classes=0, act_layer=nn.Hardswish)
    with pytest.raises(InputError, match="timm makes no VisionTransformer like"):
        describe_backbone(odd)
