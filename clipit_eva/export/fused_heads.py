"""CLIP-IT's heads as the smallest plain head that computes the same.

All that is linear collapses. With W_v, P, W_f = [W_f1 W_f2] and the text head M2 s(M1 x), where s
is LeakyReLU with slope a, the fused logits are (biases left out)

    W_f1 W_v v + W_f2 M2 s(M1 P v) = A v + B s(H v),   A = W_f1 W_v, B = W_f2 M2, H = M1 P.

s keeps this from being one matrix: no linear layer computes the text-distilled branch. But s can
carry the linear branch, because s(x) - s(-x) = (1 + a) x for every x:

    A v + B s(H v) = [B, I/(1 + a), -I/(1 + a)] s([H; A; -A] v).

So two linear layers with one LeakyReLU between them are exact, at 2 C hidden units more than the
text head has. Where B is zero, and for the vision branch alone, a single linear layer is.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from clipit_eva.models.heads import NEGATIVE_SLOPE, CLIPITHeads


@torch.no_grad()
def fuse_heads(heads: CLIPITHeads, branch: str) -> nn.Sequential:
    """Returns one plain head, embeddings [B, d] -> logits [B, C], float32, of heads without LoRA.

    It is a linear layer, or two with a LeakyReLU between; products are taken in float64.
    """
    vision, bias = _affine(heads.vision)
    if branch == "vision":
        return nn.Sequential(_linear(vision, bias))
    projection, projection_bias = _affine(heads.projection)
    into, into_bias = _affine(heads.text[0])
    out, out_bias = _affine(heads.text[2])
    fusion, fusion_bias = _affine(heads.fusion)
    of_vision, of_text = fusion.chunk(2, dim=1)
    direct, text = of_vision @ vision, of_text @ out
    bias = of_vision @ bias + of_text @ out_bias + fusion_bias
    if not text.any():
        # The hidden layer adds nothing, and nothing has to pass it.
        return nn.Sequential(_linear(direct, bias))
    hidden_bias = into @ projection_bias + into_bias
    passed = torch.eye(len(direct), dtype=torch.float64) / (1 + NEGATIVE_SLOPE)
    return nn.Sequential(
        _linear(
            torch.cat([into @ projection, direct, -direct]),
            torch.cat([hidden_bias, hidden_bias.new_zeros(2 * len(direct))]),
        ),
        nn.LeakyReLU(NEGATIVE_SLOPE),
        _linear(torch.cat([text, passed, -passed], dim=1), bias),
    )


def describe_head(head: nn.Sequential) -> list[list[str | int | float]]:
    """Returns a head's layers as `torch.nn` class names, each with its positional arguments."""
    return [
        [type(layer).__name__, layer.in_features, layer.out_features]
        if isinstance(layer, nn.Linear)
        else [type(layer).__name__, NEGATIVE_SLOPE]
        for layer in head
    ]


def build_head(layers: Sequence[Sequence[Any]]) -> nn.Sequential:
    """Returns the untrained head that `describe_head` describes."""
    return nn.Sequential(*(getattr(nn, kind)(*sizes) for kind, *sizes in layers))


def _affine(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the weight and bias of a linear layer, float64."""
    return layer.get_parameter("weight").double(), layer.get_parameter("bias").double()


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """Returns a linear layer with this weight [out, in] and bias [out], in float32."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return layer
