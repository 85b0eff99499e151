"""LoRA folded into plain layers."""

import pytest
import torch
from torch import nn

from clipit_eva.export.source import merge_lora
from clipit_eva.models import lora
from clipit_eva.models.lora import LoRASettings


class Mixed(nn.Module):
    """One layer of each kind that LoRA wraps."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(11, 8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.words(ids)
        x = self.block(self.attn(x, x, x, need_weights=False)[0])
        return self.conv(x.unsqueeze(1)).flatten(1)


@pytest.mark.parametrize("targets", [("Linear",), ("Linear", "Conv2d", "Embedding"), ("block.0",)])
def test_merged_layers_are_plain_and_say_the_same(targets: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    plain = Mixed()
    torch.manual_seed(0)
    module = Mixed().eval()
    lora.inject_lora(module, LoRASettings(rank=3, targets=targets))
    for name, parameter in module.named_parameters():
        if ".lora_" in name:
            nn.init.normal_(parameter, std=0.3)
    ids = torch.arange(22).remainder(11).view(2, 11)
    with torch.no_grad():
        expected = module(ids)
        merge_lora(module)
        found = module(ids)
        assert (expected - plain(ids)).abs().max() > 0.01  # LoRA did something
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert lora.lora_layers(module) == {}
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        assert torch.equal(plain.eval()(ids), found)


def test_merging_is_in_float32() -> None:
    """An update below bfloat16's resolution of the weight survives."""
    module = nn.Sequential(nn.Linear(4, 4, bias=False)).bfloat16()
    nn.init.ones_(module[0].weight)
    lora.inject_lora(module, LoRASettings(rank=1, alpha=1, targets=("0",)))
    layer = lora.lora_layers(module)["0"]
    nn.init.ones_(layer.lora_A["default"].weight)
    nn.init.constant_(layer.lora_B["default"].weight, 2**-10)
    merge_lora(module)
    assert module[0].weight.dtype == torch.float32
    assert torch.equal(module[0].weight, torch.full((4, 4), 1 + 2**-10))
