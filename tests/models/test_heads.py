"""The heads against the paper's formulas in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.models.heads import CLIPITHeads, TextHead


def linear(layer: torch.nn.Module, inputs: np.ndarray) -> np.ndarray:
    state = {name: tensor.double().numpy() for name, tensor in layer.state_dict().items()}
    return inputs @ state["weight"].T + state["bias"]


def text_head(head: TextHead, inputs: np.ndarray) -> np.ndarray:
    hidden = linear(head[0], inputs)
    return linear(head[2], np.where(hidden > 0, hidden, 0.1 * hidden))


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1, 9),
    text=st.integers(1, 9),
    classes=st.integers(1, 5),
    batch=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_outputs_follow_the_formulas(
    width: int, text: int, classes: int, batch: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    heads = CLIPITHeads(width, text, classes)
    embedding = torch.randn(batch, width, generator=generator)
    outputs = heads(embedding)
    vision = linear(heads.vision, embedding.double().numpy())
    projected = linear(heads.projection, embedding.double().numpy())
    logits = text_head(heads.text, projected)
    fused = linear(heads.fusion, np.concatenate([vision, logits], axis=1))
    expected = {"vision": vision, "projected": projected, "text": logits, "fused": fused}
    for name, value in expected.items():
        ours = getattr(outputs, name).detach().numpy()
        assert ours.shape == value.shape == (batch, text if name == "projected" else classes)
        np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-5)


def test_text_head_has_the_layers_of_the_text_branch() -> None:
    alone, inside = TextHead(6, 3), CLIPITHeads(4, 6, 3).text
    assert {n: t.shape for n, t in alone.state_dict().items()} == {
        n: t.shape for n, t in inside.state_dict().items()
    }
    embedding = torch.randn(5, 6)
    np.testing.assert_allclose(
        alone(embedding).detach().numpy(),
        text_head(alone, embedding.double().numpy()),
        rtol=1e-4,
        atol=1e-5,
    )


def test_gradients_reach_every_layer() -> None:
    heads = CLIPITHeads(4, 6, 1)
    heads(torch.randn(5, 4)).fused.sum().backward()
    assert all(parameter.grad.any() for parameter in heads.parameters())


def test_widths_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"IN_FEATURES=4.*width 7; set IN_FEATURES=7"):
        CLIPITHeads(4, 6, 3)(torch.randn(2, 7))
    with pytest.raises(InputError, match=r"TEXT_FEATURES=6.*width 7; set TEXT_FEATURES=7"):
        TextHead(6, 3)(torch.randn(2, 7))
