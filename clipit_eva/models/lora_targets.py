"""Which layers of an encoder LoRA's targets mean, and which of them it cannot wrap."""

import logging
from collections.abc import Collection, Mapping, Sequence

from torch import nn

from clipit_eva.errors import InputError

_log = logging.getLogger(__name__)

KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    # Attention by nn.MultiheadAttention holds its input projections itself: it counts as linear.
    "Linear": (nn.Linear, nn.MultiheadAttention),
    "Conv2d": (nn.Conv2d,),
    "Embedding": (nn.Embedding,),
}
"""Kinds of layer that LoRA can be asked to wrap (arXiv 2504.16181, section 4a)."""

_BYPASSED = "read without being called"


def select_layers(
    encoder: nn.Module, targets: Sequence[str], optional: Collection[str] = ()
) -> list[str]:
    """Returns the dotted names of the layers to wrap, in the encoder's order; at least one.

    One log line names the layers that a kind leaves out because LoRA cannot wrap them.

    Args:
        encoder: The encoder.
        targets: See `LoRASettings.targets`.
        optional: Targets that may match nothing here, because they match in another encoder.

    Raises:
        InputError: A target matches no layer, or see `find_targets`.
    """
    matches = {target: find_targets(encoder, target) for target in targets}
    wrapped = {name for t, found in matches.items() if not t.startswith("-") for name in found}
    for target, found in matches.items():
        if not found and (target not in optional or not wrapped):
            raise InputError(
                f"LORA_TARGETS: {target!r} matches no layer of {type(encoder).__name__} that LoRA "
                f"can wrap; use {', '.join(KINDS)} or the name of a layer"
            )
    excluded = {name for t, found in matches.items() if t.startswith("-") for name in found}
    if not wrapped - excluded:
        raise InputError(f"LORA_TARGETS={list(targets)} leaves out every layer; leave out fewer")
    modules, unfit = dict(encoder.named_modules()), _unfit(encoder)
    kinds = [_of_kind(modules, target) for target in targets if target in KINDS]
    left = [name for name in modules if name in unfit and any(name in kind for kind in kinds)]
    told = [f"{name} ({unfit[name]})" for name in left if name not in excluded]
    if told:
        _log.info("LORA_TARGETS: LoRA leaves out %s", ", ".join(told))
    return [name for name in modules if name in wrapped - excluded]


def find_targets(encoder: nn.Module, target: str) -> list[str]:
    """Returns the dotted names of the layers that a target matches, or leaves out (`-NAME`).

    Raises:
        InputError: The target names a layer that is not of a known kind, or one whose weight is
            read without calling the layer.
    """
    modules = dict(encoder.named_modules())
    if target.startswith("-"):
        return [name for name in modules if f".{target[1:]}." in f".{name}."]
    unfit = _unfit(encoder)
    if target in KINDS:
        inside = _projections(modules)
        kind = _of_kind(modules, target)
        return [name for name in kind if name not in unfit and name not in inside]
    names = [n for n in modules if n and (n == target or n.endswith(f".{target}"))]
    _check_named(target, names, modules, unfit)
    return names


def _of_kind(modules: Mapping[str, nn.Module], kind: str) -> list[str]:
    """Returns the layers of a kind; `Linear` means the convolutions where nothing is linear."""
    found = [name for name, module in modules.items() if name and isinstance(module, KINDS[kind])]
    return _of_kind(modules, "Conv2d") if kind == "Linear" and not found else found


def _projections(modules: Mapping[str, nn.Module]) -> set[str]:
    """Returns the output projections of attention that is wrapped as a whole."""
    attention = [n for n, m in modules.items() if isinstance(m, nn.MultiheadAttention)]
    return {f"{name}.out_proj" if name else "out_proj" for name in attention}


def _unfit(encoder: nn.Module) -> dict[str, str]:
    """Returns the layers that LoRA cannot wrap, or not so that it can be merged, and why."""
    unfit: dict[str, str] = {}
    for name, module in encoder.named_modules():
        # timm's BEiT, EVA and Swin 2 read the fused weight to give it a bias of three parts.
        if getattr(module, "q_bias", None) is not None and not getattr(
            module, "qkv_bias_separate", False
        ):
            unfit[f"{name}.qkv" if name else "qkv"] = _BYPASSED
        if isinstance(module, nn.Conv2d) and (why := _trouble(module)):
            unfit[name] = why
    return unfit


def _trouble(layer: nn.Conv2d) -> str:
    """Returns why peft's LoRA cannot wrap or merge a convolution; empty if it can."""
    if layer.groups > 1:
        return "depthwise" if layer.groups == layer.in_channels else "grouped"
    if type(layer).forward is not nn.Conv2d.forward:
        return type(layer).__name__  # pads or standardises its weight at each call
    if layer.dilation != (1, 1) and layer.kernel_size != (1, 1):
        return "dilated"
    return "" if layer.padding_mode == "zeros" else f"padded by {layer.padding_mode}"


def _check_named(
    target: str,
    names: Sequence[str],
    modules: Mapping[str, nn.Module],
    unfit: Mapping[str, str],
) -> None:
    """Raises InputError if a target given by name matches a layer that LoRA cannot wrap."""
    wrappable = tuple(kind for kinds in KINDS.values() for kind in kinds)
    for name in names:
        inside = name in _projections(modules)
        if inside or unfit.get(name) == _BYPASSED:
            advice = (
                f"target {name.removesuffix('.out_proj')!r} instead" if inside else "leave it out"
            )
            raise InputError(
                f"LORA_TARGETS: LoRA on {name} has no effect (its weight is read without calling "
                f"the layer); {advice}"
            )
        if not isinstance(modules[name], wrappable):
            raise InputError(
                f"LORA_TARGETS: {target!r} matches {name}, a {type(modules[name]).__name__}; "
                f"LoRA wraps {', '.join(KINDS)} layers"
            )
