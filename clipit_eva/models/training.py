"""How training steps are computed, where this does not change what they compute."""

import contextlib
from typing import Any

from torch import nn, optim

from clipit_eva.errors import InputError


def enable_checkpointing(encoder: nn.Module) -> None:
    """Makes an encoder compute activations twice rather than keep them, in place.

    Raises:
        InputError: It cannot: it is no timm model or open_clip text transformer, nor around one.
    """
    modules = list(encoder.modules())
    # transformers' models do it in training mode alone, which frozen encoders never are in.
    transformers = any(hasattr(module, "gradient_checkpointing_enable") for module in modules)
    switches: list[Any] = [
        module.set_grad_checkpointing
        for module in modules
        if hasattr(module, "set_grad_checkpointing") and not transformers
    ]
    # timm has models with the method but not the feature: they refuse by an assertion.
    with contextlib.suppress(AssertionError):
        if switches:
            switches[0](True)  # the outermost module's, which knows of those inside
            return
    raise InputError(
        f"GRADIENT_CHECKPOINTING=true: {type(encoder).__name__} cannot do it; set it to false"
    )


def authors_text_schedule(optimizer: optim.Optimizer) -> dict[str, Any]:
    """Returns the authors' schedule of the text-only model, as Lightning takes it.

    A cosine from the optimizer's learning rate to 1e-4 over 12,500 steps; eva alone would count
    epochs.
    """
    cosine = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12_500, eta_min=1e-4)
    return {"scheduler": cosine, "interval": "step"}


def use_fused_kernel(optimizer: optim.Optimizer) -> None:
    """Lets Adam and AdamW update all parameters in one kernel, unless told otherwise, in place.

    Not by the constructor's `fused`, with which they would undo the loss scaling of mixed precision
    themselves, so that Lightning could not clip gradients. Other optimizers stay as they are.
    """
    if not isinstance(optimizer, optim.Adam | optim.AdamW):
        return
    for group in optimizer.param_groups:
        chosen = any(group[name] for name in ("foreach", "capturable", "differentiable"))
        known = all(p.device.type in ("cpu", "cuda") for p in group["params"])
        if group["fused"] is None and not chosen and known:
            group["fused"] = True
