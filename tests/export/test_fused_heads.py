"""The fused head against the heads that it replaces."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from clipit_eva.export.fused_heads import build_head, describe_head, fuse_heads
from clipit_eva.models.heads import CLIPITHeads


def make(features: int, text: int, classes: int) -> CLIPITHeads:
    torch.manual_seed(features + 7 * text + 31 * classes)
    return CLIPITHeads(features, text, classes)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.sampled_from([0.01, 1, 30]))
def test_fused_head_says_what_the_heads_say(
    features: int, text: int, classes: int, scale: float
) -> None:
    heads = make(features, text, classes)
    head = fuse_heads(heads, "fused")
    embedding = scale * torch.randn(16, features)
    expected = heads.double()(embedding.double()).fused
    found = head(embedding).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * scale)
    assert describe_head(head) == [
        ["Linear", features, text + 2 * classes],
        ["LeakyReLU", 0.1],
        ["Linear", text + 2 * classes, classes],
    ]


def test_vision_branch_is_its_linear_layer() -> None:
    heads = make(12, 8, 3)
    head = fuse_heads(heads, "vision")
    assert describe_head(head) == [["Linear", 12, 3]]
    embedding = torch.randn(16, 12)
    assert torch.equal(head(embedding), heads(embedding).vision)


@pytest.mark.parametrize("part", ["fusion", "text"])
def test_a_text_branch_without_weight_leaves_one_linear_layer(part: str) -> None:
    heads = make(12, 8, 3)
    with torch.no_grad():
        if part == "fusion":
            heads.fusion.weight[:, 3:] = 0
        else:
            heads.text[2].weight.zero_()
    head = fuse_heads(heads, "fused")
    assert describe_head(head) == [["Linear", 12, 3]]
    embedding = torch.randn(16, 12)
    torch.testing.assert_close(head(embedding), heads(embedding).fused, rtol=0, atol=1e-6)


def test_described_head_is_built_again() -> None:
    head = fuse_heads(make(12, 8, 3), "fused")
    again = build_head(describe_head(head))
    again.load_state_dict(head.state_dict())
    embedding = torch.randn(4, 12)
    assert torch.equal(again(embedding), head(embedding))
    assert [type(layer) for layer in again] == [nn.Linear, nn.LeakyReLU, nn.Linear]
