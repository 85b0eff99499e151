"""LoRA folded into the weights that it adapts."""

import torch
from torch import nn

from clipit_eva.models import lora


@torch.no_grad()
def merge_lora(module: nn.Module) -> None:
    """Adds each LoRA update below a module to its layer's weight, and puts the plain layer back.

    In place, in float32: in lower precision the rounding would change what the model says.
    """
    module.float()
    # Those around others first: attention takes the layer inside it along.
    for name in list(lora.lora_layers(module)):
        layer = lora.lora_layers(module).get(name)
        if layer is None:
            continue
        unload = getattr(layer, "unload_and_optionally_merge_module", None)
        if unload is None:
            layer.merge()
            plain = layer.get_base_layer()
        else:
            plain = unload(merge=True, safe_merge=False, adapter_names=None)
        module.set_submodule(name, plain)
