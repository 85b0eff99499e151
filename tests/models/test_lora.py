"""LoRA on real timm and open_clip encoders, checked against arithmetic of its own."""

import copy
import json
from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import timm
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from clipit_eva.clip.encoders import TextEncoder
from clipit_eva.errors import InputError
from clipit_eva.models.lora import (
    LoRASettings,
    ineffective_layers,
    inject_lora,
    lora_layers,
)
from clipit_eva.models.lora_targets import find_targets

CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1},
    "text_cfg": {"context_length": 12, "vocab_size": 100, "width": 24, "heads": 2, "layers": 2},
}


class ConvNet(nn.Module):
    """Convolution and linear layers, as the authors' Conv2d target needs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.head = nn.Linear(6, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(images).relu().mean(dim=(2, 3)))


class Words(nn.Module):
    """An embedding layer and a linear one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(tokens).mean(dim=1))


class Attention(nn.Module):
    """nn.MultiheadAttention alone."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return self.attn(sequence, sequence, sequence, need_weights=False)[0].mean(dim=1)


class NativeTransformer(nn.Module):
    """torch's own encoder layer, whose fast path reads weights without calling layers."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return self.encoder(sequence).mean(dim=1)


def text_tower() -> nn.Module:
    model = open_clip.CustomTextCLIP(**json.loads(json.dumps(CLIP)))
    return TextEncoder(model.text, context_length=12, pad_id=0).eval()


def sequences() -> torch.Tensor:
    return torch.randn(2, 5, 8)


def tokens() -> torch.Tensor:
    return torch.randint(1, 30, (2, 12))


def images() -> torch.Tensor:
    return torch.randn(2, 3, 16, 16)


Encoder = tuple[nn.Module, torch.Tensor]


@pytest.fixture(params=["vit", "text_tower", "convnet", "words", "attention"])
def adapted(request: pytest.FixtureRequest, vit: Callable[[], nn.Module]) -> Encoder:
    """An encoder with LoRA on all its default targets, and an input for it."""
    torch.manual_seed(1)
    makers: dict[str, tuple[Callable[[], nn.Module], torch.Tensor, tuple[str, ...]]] = {
        "vit": (vit, images(), ("Linear",)),
        "text_tower": (text_tower, tokens(), ("Linear",)),
        "convnet": (ConvNet, images(), ("Linear", "Conv2d")),
        "words": (Words, tokens(), ("Linear", "Embedding")),
        "attention": (Attention, sequences(), ("Linear",)),
    }
    make, inputs, targets = makers[request.param]
    encoder = make().eval()
    inject_lora(encoder, LoRASettings(rank=2, alpha=3, targets=targets))
    return encoder, inputs


def zero_matrix(layer: LoraLayer) -> nn.Parameter:
    """The matrix that starts at zero, found by looking: B, or A of an embedding."""
    mine = [matrix for name, matrix in layer.named_parameters() if name.startswith("lora_")]
    (zero,) = [parameter for parameter in mine if not parameter.any()]
    return zero


def test_injected_encoder_computes_what_it_did(vit: Callable[[], nn.Module]) -> None:
    for make, inputs in [(vit, images()), (text_tower, tokens()), (Attention, sequences())]:
        encoder = make().eval()
        before = encoder(inputs)
        inject_lora(encoder, LoRASettings(rank=2))
        torch.testing.assert_close(encoder(inputs), before, rtol=0, atol=1e-6)


def test_only_lora_is_trainable(adapted: Encoder) -> None:
    trainable = {name for name, p in adapted[0].named_parameters() if p.requires_grad}
    assert trainable == {name for name, _ in adapted[0].named_parameters() if ".lora_" in name}
    assert trainable


def test_each_layer_alone_changes_the_output(adapted: Encoder) -> None:
    encoder, inputs = adapted
    layers = lora_layers(encoder)
    with torch.no_grad():
        plain = encoder(inputs)
        for name, layer in layers.items():
            matrix = zero_matrix(layer)
            matrix.normal_()
            assert (encoder(inputs) - plain).abs().max() > 1e-4, name
            matrix.zero_()
        torch.testing.assert_close(encoder(inputs), plain, rtol=0, atol=0)
    assert ineffective_layers(encoder, lambda: encoder(inputs)) == []


def test_default_targets_of_a_vit_are_its_linear_layers(vit: Callable[[], nn.Module]) -> None:
    encoder = vit()
    expected = [n for n, m in encoder.named_modules() if isinstance(m, nn.Linear)]
    assert len(expected) == 2 * 4  # qkv, proj, fc1, fc2 of each block
    assert inject_lora(encoder, LoRASettings()) == expected


def test_text_tower_layers_include_attention() -> None:
    names = find_targets(text_tower(), "Linear")
    assert [name for name in names if name.endswith(".attn")]
    assert not [name for name in names if name.endswith("out_proj")]


def test_linear_update_is_alpha_over_rank_times_b_a() -> None:
    torch.manual_seed(0)
    encoder = ConvNet()
    plain = copy.deepcopy(encoder)
    inject_lora(encoder, LoRASettings(rank=2, alpha=3, targets=("head",)))
    (layer,) = lora_layers(encoder).values()
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    inputs = images()
    with torch.no_grad():
        b.normal_()
        plain.head.weight += 3 / 2 * b @ a
        torch.testing.assert_close(encoder(inputs), plain(inputs), rtol=0, atol=1e-6)


def test_attention_update_reaches_both_projections_once() -> None:
    torch.manual_seed(0)
    encoder, inputs = Attention(), sequences()
    plain = copy.deepcopy(encoder).requires_grad_(True)
    inject_lora(encoder, LoRASettings(rank=2, alpha=3))
    parameters = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    for parameter in parameters.values():
        nn.init.normal_(parameter)
    prefix = "attn.base_layer.out_proj."

    def product(start: str) -> torch.Tensor:
        return (
            parameters[f"{start}lora_B.default.weight"]
            @ parameters[f"{start}lora_A.default.weight"]
        )

    with torch.no_grad():
        plain.attn.in_proj_weight += 3 / 2 * product("attn.")
        plain.attn.out_proj.weight += 3 / 2 * product(prefix)
    output, expected = encoder(inputs), plain(inputs)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    # dL/dB = alpha / rank * dL/dW A^T, the chain rule on the plain layer's own gradient.
    output.square().sum().backward()
    expected.square().sum().backward()
    plain_gradients = {
        "attn.": plain.attn.in_proj_weight.grad,
        prefix: plain.attn.out_proj.weight.grad,
    }
    for start, gradient in plain_gradients.items():
        a = parameters[f"{start}lora_A.default.weight"]
        torch.testing.assert_close(
            parameters[f"{start}lora_B.default.weight"].grad,
            3 / 2 * gradient @ a.T,
            rtol=1e-4,
            atol=1e-4,
        )


def test_attention_keeps_its_frozen_weights_to_the_bit() -> None:
    torch.manual_seed(0)
    encoder = Attention()
    before = copy.deepcopy(encoder.attn.state_dict())
    inject_lora(encoder, LoRASettings(rank=2))
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    for _ in range(20):
        encoder(sequences()).sum().backward()
    base = encoder.attn.base_layer
    assert torch.equal(base.in_proj_weight, before["in_proj_weight"])
    assert torch.equal(base.out_proj.base_layer.weight, before["out_proj.weight"])


def test_merged_weights_give_the_same_output(adapted: Encoder) -> None:
    encoder, inputs = adapted
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        separate = encoder(inputs)
        for layer in lora_layers(encoder).values():
            layer.merge()
        assert all(layer.merged for layer in lora_layers(encoder).values())
        torch.testing.assert_close(encoder(inputs), separate, rtol=0, atol=1e-5)
        for layer in reversed(lora_layers(encoder).values()):
            if layer.merged:
                layer.unmerge()
        torch.testing.assert_close(encoder(inputs), separate, rtol=0, atol=1e-5)


def test_unloaded_attention_is_plain_and_merged() -> None:
    torch.manual_seed(0)
    encoder, inputs = Attention(), sequences()
    inject_lora(encoder, LoRASettings(rank=2))
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.1)
    expected = encoder(inputs)
    encoder.attn = encoder.attn.unload_and_optionally_merge_module(True, False, None)
    assert set(encoder.state_dict()) == set(Attention().state_dict())
    torch.testing.assert_close(encoder(inputs), expected, rtol=0, atol=1e-5)


def test_a_weight_that_is_read_without_a_call_is_found_to_have_no_effect() -> None:
    torch.manual_seed(0)
    encoder = timm.create_model(
        "eva02_tiny_patch14_224", num_classes=0, img_size=28, embed_dim=24, depth=2, num_heads=2
    ).eval()
    # As peft alone would wrap it: our targets leave it out.
    config = LoraConfig(r=2, target_modules=["qkv", "fc2"])
    inject_adapter_in_model(config, encoder)
    inputs = torch.randn(1, 3, 28, 28)
    idle = ineffective_layers(encoder, lambda: encoder(inputs))
    assert idle == ["blocks.0.attn.qkv", "blocks.1.attn.qkv"]
    with torch.no_grad():
        plain = encoder(inputs)
        for name, layer in lora_layers(encoder).items():
            matrix = zero_matrix(layer)
            matrix.normal_()
            assert torch.equal(encoder(inputs), plain) == (name in idle)
            matrix.zero_()


def test_native_transformer_fast_path_is_found_to_have_no_effect() -> None:
    encoder = NativeTransformer().eval()
    inject_lora(encoder, LoRASettings(rank=2))
    inputs = sequences()
    assert ineffective_layers(encoder, lambda: encoder(inputs)) == list(lora_layers(encoder))


def test_check_leaves_no_trace(adapted: Encoder) -> None:
    encoder, inputs = adapted
    for position, module in enumerate(encoder.modules()):
        module.training = position % 2 == 0
    for parameter in encoder.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    modes = [module.training for module in encoder.modules()]
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    # A forward that draws numbers stands for word dropout, which is not the encoder's own.
    ineffective_layers(encoder, lambda: encoder(inputs) + 0 * torch.rand(1))
    assert torch.equal(torch.rand(3), expected)
    assert [module.training for module in encoder.modules()] == modes
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter.grad, torch.ones_like(parameter))
    assert all(torch.equal(tensor, state[name]) for name, tensor in encoder.state_dict().items())


def test_targets_by_name_match_whole_parts_of_dotted_names(vit: Callable[[], nn.Module]) -> None:
    assert find_targets(vit(), "fc1") == ["blocks.0.mlp.fc1", "blocks.1.mlp.fc1"]
    assert find_targets(vit(), "blocks.1.mlp.fc1") == ["blocks.1.mlp.fc1"]
    assert find_targets(vit(), "1.attn.proj") == ["blocks.1.attn.proj"]
    assert find_targets(vit(), "c1") == []


def test_layers_come_in_the_order_of_the_encoder(vit: Callable[[], nn.Module]) -> None:
    names = inject_lora(vit(), LoRASettings(rank=2, targets=("fc1", "proj")))
    assert names == [
        "patch_embed.proj",
        "blocks.0.attn.proj",
        "blocks.0.mlp.fc1",
        "blocks.1.attn.proj",
        "blocks.1.mlp.fc1",
    ]


def test_optional_targets_may_match_nothing_but_not_all_of_them() -> None:
    both = LoRASettings(rank=2, targets=("Linear", "Embedding"))
    assert inject_lora(ConvNet(), both, optional=("Embedding",)) == ["head"]
    with pytest.raises(InputError, match="'Embedding' matches no layer of ConvNet"):
        inject_lora(ConvNet(), both, optional=("Linear",))
    none = LoRASettings(rank=2, targets=("Embedding",))
    with pytest.raises(InputError, match="'Embedding' matches no layer of ConvNet"):
        inject_lora(ConvNet(), none, optional=("Embedding",))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("out_proj", "out_proj has no effect"),
        ("query", "'query' matches no layer of TextEncoder"),
        ("c_f", "'c_f' matches no layer"),
        ("Conv2d", "'Conv2d' matches no layer"),
        ("ln_1", "a LayerNorm"),
    ],
)
def test_targets_of_no_use_are_named(target: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inject_lora(text_tower(), LoRASettings(targets=(target,)))


def test_out_proj_message_names_the_layer_and_the_mend() -> None:
    with pytest.raises(InputError, match=r"LoRA on tower\S*\.attn\.out_proj .* target '.*\.attn'"):
        inject_lora(text_tower(), LoRASettings(targets=("Linear", "out_proj")))


@pytest.mark.parametrize(
    ("encoder", "targets", "message"),
    [
        (nn.Sequential(nn.Conv2d(6, 6, 3, groups=6)), ("Conv2d",), "'Conv2d' matches no layer"),
        (nn.Sequential(nn.Conv2d(6, 6, 3, groups=6)), ("0",), "LORA_TARGETS: 0: .*rank"),
        (nn.Linear(3, 4), ("Linear",), "matches no layer of Linear"),
    ],
)
def test_layers_that_lora_cannot_wrap(
    encoder: nn.Module, targets: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        inject_lora(encoder, LoRASettings(rank=4, targets=targets))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"rank": 0}, "LORA_RANK=0"),
        ({"rank": -1}, "LORA_RANK=-1"),
        ({"alpha": 0}, "LORA_ALPHA=0"),
        ({"alpha": -2.0}, "LORA_ALPHA=-2"),
        ({"alpha": float("nan")}, "LORA_ALPHA=nan"),
        ({"dropout": 1.0}, "LORA_DROPOUT=1"),
        ({"dropout": -0.1}, "LORA_DROPOUT=-0.1"),
        ({"dropout": float("nan")}, "LORA_DROPOUT=nan"),
        ({"targets": ()}, "LORA_TARGETS"),
        ({"targets": "Linear"}, "LORA_TARGETS"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        LoRASettings(**settings)
