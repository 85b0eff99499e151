"""The layers that LoRA's default targets mean, on the architectures that backbones have."""

import copy
import functools
import logging
from typing import Any

import pytest
import timm
import torch
import yaml
from timm.layers import SwiGLUPacked
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.export.source import merge_lora
from clipit_eva.models.lora import (
    LoRASettings,
    check_effect,
    ineffective_layers,
    inject_lora,
    lora_layers,
)
from clipit_eva.models.lora_targets import find_targets
from clipit_eva.tasks import configs

_VIT: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 24,
    "depth": 2,
    "num_heads": 2,
}
_SWIN: dict[str, Any] = {"img_size": 64, "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)}
_CONVNEXT: dict[str, Any] = {"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 24)}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any], str]] = {
    # MODEL, arguments, the end of the name of a layer that has to be among the targets
    "ViT, fused qkv": ("vit_small_patch16_224", _VIT, "attn.qkv"),
    "ViT, SwiGLU": (
        "vit_small_patch16_224",
        {**_VIT, "mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU, "reg_tokens": 2},
        "mlp.fc1",
    ),
    "EVA-02, fused qkv": ("eva02_tiny_patch14_224", {**_VIT, "patch_size": 8}, "attn.proj"),
    "EVA-02, split qkv": ("eva02_base_patch14_224", {**_VIT, "qkv_fused": False}, "attn.k_proj"),
    "BEiT": ("beit_base_patch16_224", _VIT, "mlp.fc2"),
    "Swin": ("swin_tiny_patch4_window7_224", {**_SWIN, "window_size": 4}, "attn.qkv"),
    "Swin 2": ("swinv2_tiny_window8_256", {**_SWIN, "window_size": 4}, "attn.proj"),
    "ConvNeXt": ("convnext_atto", _CONVNEXT, "mlp.fc1"),
    "ResNet": ("resnet10t", {}, "conv2"),
    "ResNeXt, grouped": ("resnext50_32x4d", {"layers": (1, 1, 1, 1)}, "conv3"),
    "EfficientNet-Lite": ("efficientnet_lite0", {}, "conv_pw"),
    "EfficientNet of TensorFlow": ("tf_efficientnet_lite0", {}, "conv_pw"),
    "MobileNetV3": ("mobilenetv3_small_050", {}, "conv_pwl"),
    "RegNet": ("regnety_002", {}, "conv1.conv"),
}


@pytest.fixture(params=ARCHITECTURES)
def made(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, str]:
    """A small encoder of an architecture, with random weights that let signals through."""
    name, arguments, layer = ARCHITECTURES[request.param]
    torch.manual_seed(0)
    encoder = timm.create_model(name, num_classes=0, **arguments).eval()
    for parameter in encoder.parameters():
        if parameter.ndim == 1 and not parameter.any():
            # timm starts residual branches at zero, by the scale of their last norm.
            nn.init.uniform_(parameter, 0.5, 1)
    size = arguments.get("img_size", 64)
    return encoder, torch.randn(2, 3, size, size), layer


def test_default_targets_act_learn_and_merge(made: tuple[nn.Module, torch.Tensor, str]) -> None:
    encoder, images, layer = made
    names = inject_lora(encoder, LoRASettings(rank=4))
    assert any(name.endswith(layer) for name in names)
    assert ineffective_layers(encoder, lambda: encoder(images)) == []
    with torch.no_grad():
        plain = encoder(images)
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.02)
        adapted = encoder(images)
    assert (adapted - plain).abs().max() > 1e-4 * plain.abs().max()
    (encoder(images) * torch.randn(plain.shape)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == ("lora_" in name), (
            name
        )
    merged = copy.deepcopy(encoder)
    merge_lora(merged)
    assert not lora_layers(merged)
    with torch.no_grad():
        torch.testing.assert_close(merged(images), adapted, rtol=1e-4, atol=1e-4)


def test_convolutions_that_cannot_be_wrapped_are_named_in_one_line(
    made: tuple[nn.Module, torch.Tensor, str], caplog: pytest.LogCaptureFixture
) -> None:
    encoder, images, _ = made
    expected = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Conv2d)
        and (module.groups > 1 or type(module).__name__ == "Conv2dSame")
    ]
    with caplog.at_level(logging.INFO, "clipit_eva"):
        names = inject_lora(encoder, LoRASettings(rank=4, targets=("Conv2d",)))
    assert not set(expected) & set(names)
    encoder(images)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == bool(expected)
    assert all(f"{name} (" in lines[0] for name in expected)


def test_defaults_of_vits_are_their_linear_layers() -> None:
    encoder = timm.create_model("vit_small_patch16_224", num_classes=0, **_VIT)
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    assert find_targets(encoder, "Linear") == linear


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (nn.Conv2d(4, 4, 3, groups=4), "depthwise"),
        (nn.Conv2d(4, 4, 3, groups=2), "grouped"),
        (nn.Conv2d(4, 4, 3, dilation=2), "dilated"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "padded by reflect"),
        (timm.layers.StdConv2d(4, 4, 3), "StdConv2d"),
    ],
)
def test_why_a_convolution_is_left_out_is_told(
    layer: nn.Module, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = nn.Sequential(nn.Conv2d(3, 4, 1), layer)
    with caplog.at_level(logging.INFO, "clipit_eva"):
        assert inject_lora(encoder, LoRASettings(rank=2, targets=("Conv2d",))) == ["0"]
    assert [record.getMessage() for record in caplog.records] == [
        f"LORA_TARGETS: LoRA leaves out 1 ({why})"
    ]


def test_layers_are_left_out_by_name() -> None:
    encoder = timm.create_model("resnet10t", num_classes=0)
    every = inject_lora(copy.deepcopy(encoder), LoRASettings(rank=2))
    assert {"conv1.0", "layer1.0.conv1"} <= set(every)
    targets = ("Conv2d", "-conv1", "-layer2.0.downsample")
    names = inject_lora(copy.deepcopy(encoder), LoRASettings(rank=2, targets=targets))
    assert names == [
        name for name in every if "conv1" not in name and "layer2.0.downsample" not in name
    ]
    for wrong, message in (
        (("Conv2d", "-stem"), "'-stem' matches no layer of ResNet"),
        (("layer1.0.conv1", "-layer1"), "leaves out every layer"),
    ):
        with pytest.raises(InputError, match=message):
            inject_lora(copy.deepcopy(encoder), LoRASettings(rank=2, targets=wrong))


def test_a_weight_that_is_read_without_a_call_is_refused_by_name() -> None:
    encoder = timm.create_model("beit_base_patch16_224", num_classes=0, **_VIT)
    with pytest.raises(InputError, match=r"blocks\.0\.attn\.qkv has no effect .* leave it out"):
        inject_lora(encoder, LoRASettings(rank=2, targets=("qkv",)))


@pytest.mark.parametrize("rank", [4, 11])
def test_lora_search_works_on_a_depthwise_cnn(rank: int) -> None:
    """Each choice of the shipped plan wraps layers, at any rank, though text is adapted too."""
    plan = yaml.safe_load(configs.path("ablations/lora_search").read_text())
    choices = plan["search"]["space"]["LORA_TARGETS"]
    assert choices
    for targets in choices:
        encoder = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
        inject_lora(encoder, LoRASettings(rank=rank, targets=targets), optional=targets)
        check_effect(encoder, functools.partial(encoder, torch.randn(1, 3, 32, 32)))
