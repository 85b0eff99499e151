"""LoRA on attention by `nn.MultiheadAttention`."""

from typing import Any

import torch
from peft.tuners.lora import layer as peft_layer
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import nn
from typing_extensions import override


class MultiheadAttentionLoRA(peft_layer.MultiheadAttention):
    """LoRA on the input and the output projection of `nn.MultiheadAttention`.

    peft's own layer adds the output projection's update twice (its gradient counts it once), and
    gets its frozen weights back by subtraction, which leaves rounding errors in them at each call.
    Here the attention is called with the sum of weight and update, and its weights stay untouched.
    Attention reads these weights without calling a layer, so that the update's inputs cannot be
    dropped apart: LoRA's dropout does not act here.
    """

    @override
    def forward(self, query: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Returns what the attention returns, with the updated projections."""
        attention: Any = self.get_base_layer()
        weights = {
            "in_proj_weight": attention.in_proj_weight + self._update(self),
            "out_proj.base_layer.weight": attention.out_proj.weight
            + self._update(attention.out_proj),
        }
        return torch.func.functional_call(attention, weights, (query, *args), kwargs)

    @override
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Adds the update to the weights of both projections, in place."""
        attention: Any = self.get_base_layer()
        for adapter in check_adapters_to_merge(self, adapter_names):
            attention.in_proj_weight.data += self.get_delta_weight(adapter).detach()
            self.merged_adapters.append(adapter)
        attention.out_proj.merge(safe_merge, adapter_names)

    @override
    def unmerge(self) -> None:
        """Subtracts the update from the weights of both projections, in place."""
        attention: Any = self.get_base_layer()
        while self.merged_adapters:
            delta = self.get_delta_weight(self.merged_adapters.pop())
            attention.in_proj_weight.data -= delta.detach()
        attention.out_proj.unmerge()

    @override
    def unload_and_optionally_merge_module(
        self, merge: bool, safe_merge: bool, adapter_names: list[str] | None
    ) -> nn.MultiheadAttention:
        """Returns the plain attention, with the update in its weights if `merge`."""
        if merge:
            self.merge(safe_merge, adapter_names)
        attention: Any = self.get_base_layer()
        attention.out_proj = self.out_proj
        return attention

    @staticmethod
    def _update(layer: Any) -> torch.Tensor | float:
        """Returns the update of a projection's weight that is not in the weight yet."""
        if layer.disable_adapters:
            return 0.0
        adapters = [name for name in layer.active_adapters if name not in layer.merged_adapters]
        return sum((layer.get_delta_weight(name) for name in adapters), start=0.0)
