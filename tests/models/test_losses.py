"""The losses against their formulas in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.models.losses import CRITERIA, build_criterion, distillation_loss


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(-special.log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 4, generator=generator), torch.tensor([0, 1, 2, 3, 1, 0])


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 5), width=st.integers(2, 9), seed=st.integers(0, 2**16))
def test_distillation_loss_is_mean_cosine_distance(batch: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ours = torch.randn(batch, width, generator=generator)
    theirs = 5 * torch.randn(batch, width, generator=generator)
    a, b = ours.double().numpy(), theirs.double().numpy()
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    loss = distillation_loss(ours, theirs)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(np.mean(1 - cosines), abs=1e-5)


def test_distillation_loss_at_its_ends() -> None:
    vectors = torch.eye(3)
    assert distillation_loss(vectors, 7 * vectors).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(vectors, -vectors).item() == pytest.approx(2, abs=1e-6)
    assert distillation_loss(vectors, vectors.roll(1, 0)).item() == pytest.approx(1, abs=1e-6)


def test_cross_entropy(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, targets = batch
    ours = build_criterion("cross_entropy", 4)(logits, targets).item()
    assert ours == pytest.approx(cross_entropy(logits.double().numpy(), targets.numpy()), abs=1e-6)


def test_softmax_cross_entropy_takes_the_softmax_twice(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, targets = batch
    twice = special.softmax(logits.double().numpy(), axis=1)
    ours = build_criterion("softmax_cross_entropy", 4)(logits, targets).item()
    assert ours == pytest.approx(cross_entropy(twice, targets.numpy()), abs=1e-6)


def test_binary_cross_entropy_of_one_logit() -> None:
    logits, targets = torch.tensor([-2.0, 0.3, 4.0]), torch.tensor([0.0, 1.0, 0.0])
    probs = special.expit(logits.double().numpy())
    expected = -np.mean(np.log(np.where(targets.numpy() == 1, probs, 1 - probs)))
    ours = build_criterion("binary_cross_entropy", 1)(logits, targets).item()
    assert ours == pytest.approx(expected, abs=1e-6)


def test_a_module_is_taken_as_it_is() -> None:
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    assert build_criterion(criterion, 4) is criterion


@pytest.mark.parametrize("name", CRITERIA)
def test_a_name_gives_its_class_or_an_error(name: str) -> None:
    if name == "binary_cross_entropy":
        with pytest.raises(InputError, match=f"CRITERION={name} does not fit 4 logit"):
            build_criterion(name, 4)
        assert isinstance(build_criterion(name, 1), nn.BCEWithLogitsLoss)
    else:
        assert isinstance(build_criterion(name, 4), CRITERIA[name])
        with pytest.raises(InputError, match=f"CRITERION={name} does not fit 1 logit"):
            build_criterion(name, 1)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="CRITERION=focal is unknown; use one of cross_entropy"):
        build_criterion("focal", 4)
