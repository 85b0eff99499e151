"""LoRA on a frozen encoder: which layers it wraps, and whether it can act there."""

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Sequence

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.eva import compat
from clipit_eva.models.lora_attention import MultiheadAttentionLoRA
from clipit_eva.models.lora_targets import select_layers

_ADAPTER = "default"


@dataclasses.dataclass(frozen=True)
class LoRASettings:
    """Low-rank adaptation (Hu et al., arXiv 2106.09685) as the CLIP-IT authors set it."""

    rank: int = 16
    """Rank r of the update, at least 1."""

    alpha: float = 8
    """The update is scaled by alpha / rank; above 0."""

    dropout: float = 0.0
    """Share of the update's inputs dropped in training, in [0, 1); not in `nn.MultiheadAttention`,
    where they cannot be told from the layer's own."""

    targets: Sequence[str] = ("Linear",)
    """Kinds of layer (`Linear`, `Conv2d`, `Embedding`) or names of layers, as in peft: a name
    matches a layer of that name and those whose dotted name ends in it. `-NAME` leaves out layers
    in whose dotted name it occurs. Where nothing is linear, `Linear` means the convolutions. Kinds
    leave out what LoRA cannot wrap, such as depthwise convolutions."""

    vision: bool = True
    """Whether the vision backbone is adapted; if not, it stays frozen."""

    text: bool = False
    """Whether the text encoder is adapted; if not, it stays frozen."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"LORA_RANK={self.rank} must be at least 1; LORA_VISION=false is off")
        if not 0 < self.alpha < math.inf:
            raise InputError(f"LORA_ALPHA={self.alpha} must be a number above 0")
        if not 0 <= self.dropout < 1:
            raise InputError(f"LORA_DROPOUT={self.dropout} must lie in [0, 1)")
        if not self.targets or isinstance(self.targets, str):
            raise InputError(f"LORA_TARGETS={self.targets} must be a list such as [Linear, Conv2d]")


def inject_lora(
    encoder: nn.Module, settings: LoRASettings, optional: Collection[str] = ()
) -> list[str]:
    """Freezes an encoder and wraps the layers that the settings name with LoRA, in place.

    Args:
        encoder: The encoder. Its own parameters stop requiring gradients.
        settings: Rank, scale, dropout and targets.
        optional: Targets that may match nothing here, because they match in another encoder.

    Returns:
        The dotted names of the wrapped layers, in the encoder's order; at least one.

    Raises:
        InputError: A target matches no layer, or one on which LoRA cannot act.
    """
    encoder.requires_grad_(False)
    names = select_layers(encoder, settings.targets, optional)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type] # peft only divides it
        lora_dropout=settings.dropout,
        # A pattern, because a list would also match every longer name with the same ending.
        target_modules="|".join(re.escape(name) for name in names),
    )
    compat.register_lora_layer(config, nn.MultiheadAttention, MultiheadAttentionLoRA)
    try:
        inject_adapter_in_model(config, encoder, adapter_name=_ADAPTER)
    except ValueError as error:  # such as a rank that a grouped convolution cannot have
        grouped = [n for n in names if getattr(encoder.get_submodule(n), "groups", 1) > 1]
        raise InputError(f"LORA_TARGETS: {', '.join(grouped)}: {error}") from error
    return names


def lora_layers(encoder: nn.Module) -> dict[str, LoraLayer]:
    """Returns an encoder's LoRA layers by dotted name."""
    return {
        name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)
    }


def check_effect(encoder: nn.Module, forward: Callable[[], torch.Tensor]) -> None:
    """Raises InputError if a LoRA layer cannot change what its encoder computes.

    Arguments are those of `ineffective_layers`.
    """
    if idle := ineffective_layers(encoder, forward):
        raise InputError(
            f"LORA_TARGETS: LoRA on {', '.join(idle)} has no effect on the output of "
            f"{type(encoder).__name__}; leave these layers out"
        )


def ineffective_layers(encoder: nn.Module, forward: Callable[[], torch.Tensor]) -> list[str]:
    """Returns the LoRA layers that cannot change an encoder's output.

    A layer acts if the output's gradient with respect to its A or B matrix is not zero everywhere.
    One of the two starts at zero and the other does not, so that the gradient of the first tells
    before training too.

    Args:
        encoder: The encoder with LoRA in it. Its mode and gradients are left as they were, and so
            is torch's global random state (CPU).
        forward: Runs the encoder on some input and returns its output [N, d], float.

    Returns:
        Dotted names; empty if every layer acts.
    """
    matrices = {name: _matrices(layer) for name, layer in lora_layers(encoder).items()}
    flat = [matrix for pair in matrices.values() for matrix in pair]
    training = {module: module.training for module in encoder.modules()}
    encoder.eval()
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            output = forward()
        if not output.requires_grad:
            return list(matrices)
        # A random direction: the plain sum of a layer-normalised output is a constant.
        generator = torch.Generator().manual_seed(0)
        direction = torch.randn(output.shape, generator=generator).to(output)
        found = torch.autograd.grad(output, flat, direction, allow_unused=True)
    finally:
        for module, mode in training.items():
            module.training = mode
    acts = [gradient is not None and bool(gradient.any()) for gradient in found]
    pairs = zip(acts[::2], acts[1::2], strict=True)
    return [name for name, pair in zip(matrices, pairs, strict=True) if not any(pair)]


def _matrices(layer: LoraLayer) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a LoRA layer's A and B matrices."""
    if _ADAPTER in layer.lora_embedding_A:
        return layer.lora_embedding_A[_ADAPTER], layer.lora_embedding_B[_ADAPTER]
    weights = (layer.lora_A[_ADAPTER], layer.lora_B[_ADAPTER])
    return weights[0].get_parameter("weight"), weights[1].get_parameter("weight")
