"""LoRA on a frozen encoder: which layers it wraps, and whether it can act there."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from clipit_eva.errors import InputError

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    # Attention by nn.MultiheadAttention holds its input projections itself: it counts as linear.
    "Linear": (nn.Linear, nn.MultiheadAttention),
    "Conv2d": (nn.Conv2d,),
    "Embedding": (nn.Embedding,),
}
"""Kinds of layer that LoRA can be asked to wrap (arXiv 2504.16181, section 4a)."""

_ADAPTER = "default"


@dataclasses.dataclass(frozen=True)
class LoRASettings:
    """Low-rank adaptation (Hu et al., arXiv 2106.09685) as the CLIP-IT authors set it."""

    rank: int = 16
    """Rank r of the update, at least 1."""

    alpha: float = 8
    """The update is scaled by alpha / rank; above 0."""

    dropout: float = 0.0
    """Share of the update's inputs dropped in training, in [0, 1)."""

    targets: Sequence[str] = ("Linear",)
    """Kinds of layer (`Linear`, `Conv2d`, `Embedding`) or names of layers, as in peft: a name
    matches a layer of that name and those whose dotted name ends in it."""

    vision: bool = True
    """Whether the vision backbone is adapted; if not, it stays frozen."""

    text: bool = False
    """Whether the text encoder is adapted; if not, it stays frozen."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"LORA_RANK={self.rank} must be at least 1; LORA_VISION=false is off")
        if self.alpha <= 0:
            raise InputError(f"LORA_ALPHA={self.alpha} must be above 0")
        if not 0 <= self.dropout < 1:
            raise InputError(f"LORA_DROPOUT={self.dropout} must lie in [0, 1)")
        if not self.targets or isinstance(self.targets, str):
            raise InputError(f"LORA_TARGETS={self.targets} must be a list such as [Linear, Conv2d]")


def inject_lora(encoder: nn.Module, settings: LoRASettings) -> list[str]:
    """Freezes an encoder and wraps the layers that the settings name with LoRA, in place.

    Args:
        encoder: The encoder. Its own parameters stop requiring gradients.
        settings: Rank, scale, dropout and targets.

    Returns:
        The dotted names of the wrapped layers, in the encoder's order.

    Raises:
        InputError: A target matches no layer, or one on which LoRA cannot act.
    """
    encoder.requires_grad_(False)
    names = find_targets(encoder, settings.targets)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type] # peft only divides it
        lora_dropout=settings.dropout,
        # A pattern, because a list would also match every longer name with the same ending.
        target_modules="|".join(re.escape(name) for name in names),
    )
    inject_adapter_in_model(config, encoder, adapter_name=_ADAPTER)
    return names


def find_targets(encoder: nn.Module, targets: Sequence[str]) -> list[str]:
    """Returns the dotted names of the layers that targets (kinds or names) match.

    Raises:
        InputError: A target matches nothing, a layer that is not of a known kind, or the output
            projection of `nn.MultiheadAttention`, whose weight is read without calling the layer.
    """
    modules = dict(encoder.named_modules())
    # `nn.MultiheadAttention` reads its output projection's weight without calling the layer.
    bypassed = {
        f"{name}.out_proj" if name else "out_proj"
        for name, module in modules.items()
        if isinstance(module, nn.MultiheadAttention)
    }
    found: set[str] = set()
    for target in targets:
        if target in KINDS:
            kinds = KINDS[target]
            matches = {name for name, m in modules.items() if isinstance(m, kinds)} - bypassed
        else:
            matches = {n for n in modules if n == target or n.endswith(f".{target}")} - {""}
            _check_named(target, matches, modules, bypassed)
        if not matches:
            raise InputError(
                f"LORA_TARGETS: {target!r} matches no layer of {type(encoder).__name__}; "
                f"use {', '.join(KINDS)} or the name of a layer"
            )
        found |= matches
    return [name for name in modules if name in found]


def lora_layers(encoder: nn.Module) -> dict[str, LoraLayer]:
    """Returns an encoder's LoRA layers by dotted name."""
    return {
        name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)
    }


def ineffective_layers(encoder: nn.Module, forward: Callable[[], torch.Tensor]) -> list[str]:
    """Returns the LoRA layers that cannot change an encoder's output.

    A layer acts if the output's gradient with respect to its B matrix is not zero everywhere. B
    starts at zero and A does not, so this holds before the first training step too.

    Args:
        encoder: The encoder with LoRA in it. Its mode and gradients are left as they were.
        forward: Runs the encoder on some input and returns its output [N, d], float.

    Returns:
        Dotted names; empty if every layer acts.
    """
    layers = lora_layers(encoder)
    matrices = {name: _b_matrix(layer) for name, layer in layers.items()}
    training = {module: module.training for module in encoder.modules()}
    encoder.eval()  # dropout would draw random numbers that training should draw
    try:
        with torch.enable_grad():
            output = forward()
            # A random direction: the plain sum of a layer-normalised output is a constant.
            generator = torch.Generator().manual_seed(0)
            direction = torch.randn(output.shape, generator=generator).to(output)
            gradients = torch.autograd.grad(
                output, list(matrices.values()), direction, allow_unused=True
            )
    finally:
        for module, mode in training.items():
            module.training = mode
    return [
        name
        for name, gradient in zip(matrices, gradients, strict=True)
        if gradient is None or not bool(gradient.any())
    ]


def _check_named(
    target: str, matches: set[str], modules: dict[str, nn.Module], bypassed: set[str]
) -> None:
    """Raises InputError if a target given by name matches a layer that LoRA cannot wrap."""
    wrappable = tuple(kind for kinds in KINDS.values() for kind in kinds)
    for name in sorted(matches):
        if name in bypassed:
            raise InputError(
                f"LORA_TARGETS: LoRA on {name} has no effect (its weight is read without calling "
                f"the layer); target {name.removesuffix('.out_proj')!r} instead"
            )
        if not isinstance(modules[name], wrappable):
            raise InputError(
                f"LORA_TARGETS: {target!r} matches {name}, a {type(modules[name]).__name__}; "
                f"LoRA wraps {', '.join(KINDS)} layers"
            )


def _b_matrix(layer: LoraLayer) -> torch.Tensor:
    """Returns a LoRA layer's B matrix."""
    if _ADAPTER in layer.lora_embedding_B:
        return layer.lora_embedding_B[_ADAPTER]
    return layer.lora_B[_ADAPTER].get_parameter("weight")
