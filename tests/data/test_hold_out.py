"""The stratified hold-out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from eva.vision.data.datasets import vision
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.data.hold_out import HoldOut
from clipit_eva.data.wrapper import eva_index
from clipit_eva.errors import InputError


class Labels(vision.VisionDataset):
    """Samples that are nothing but labels."""

    def __init__(self, labels: list[int]) -> None:
        super().__init__()
        self._labels = labels

    def __len__(self) -> int:
        return len(self._labels)

    def filename(self, index: int) -> str:
        return str(index)

    def load_data(self, index: int) -> torch.Tensor:
        return torch.tensor(index)

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(self._labels[index], dtype=torch.float32)  # as PatchCamelyon's


def indices(labels: list[int], part: Any, **arguments: Any) -> list[int]:
    dataset = HoldOut(Labels(labels), part, **arguments)
    dataset.setup()
    return [eva_index(dataset, position) for position in range(len(dataset))]


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 100),
)
def test_parts_are_disjoint_complete_and_stratified(
    labels: list[int], share: float, seed: int
) -> None:
    train = indices(labels, "train", share=share, seed=seed)
    held = indices(labels, "hold_out", share=share, seed=seed)
    assert sorted(train + held) == list(range(len(labels)))
    assert train == sorted(train)
    assert held == sorted(held)
    for label in set(labels):
        of_class = [n for n in held if labels[n] == label]
        count = labels.count(label)
        # At least one of each class stays in train.
        assert abs(len(of_class) - share * count) < 1 or len(of_class) == count - 1


def test_split_is_the_same_each_time_and_depends_on_the_seed() -> None:
    labels = [number % 4 for number in range(100)]
    first = indices(labels, "hold_out")
    torch.manual_seed(1)
    assert indices(labels, "hold_out") == first
    assert indices(labels, "hold_out", seed=43) != first
    assert len(first) == 20
    assert [sum(labels[n] == c for n in first) for c in range(4)] == [5] * 4


def test_default_split_does_not_change_between_versions() -> None:
    """A published number rests on this split; it may not move."""
    assert indices([number % 4 for number in range(20)], "hold_out") == [0, 7, 14, 17]


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
def test_share_out_of_range(slides: Callable[..., Any], share: float) -> None:
    with pytest.raises(InputError, match="share="):
        HoldOut(slides(), "train", share=share)


def test_every_nth_sample_is_held_out() -> None:
    """The authors' protocol for BACH: indices 0, 20, 40, ... of eva's own order."""
    labels = [number // 67 for number in range(268)]
    held = indices(labels, "hold_out", every=20)
    assert held == list(range(0, 268, 20))
    assert indices(labels, "train", every=20) == [n for n in range(268) if n % 20]


@pytest.mark.parametrize("every", [1, 0, -20])
def test_every_out_of_range(slides: Callable[..., Any], every: int) -> None:
    with pytest.raises(InputError, match=f"every={every} must be at least 2"):
        HoldOut(slides(), "train", every=every)


class Slides(Labels):
    """Labels of which four in a row are of one slide."""

    def group(self, index: int) -> str:
        return str(index // 4)


def test_whole_slides_are_held_out() -> None:
    sides = {}
    for part in ("train", "hold_out"):
        dataset = HoldOut(Slides([0, 1] * 40), part)
        dataset.setup()
        sides[part] = [eva_index(dataset, position) for position in range(len(dataset))]
    assert sorted(sides["train"] + sides["hold_out"]) == list(range(80))
    assert len(sides["hold_out"]) == 16
    assert not {n // 4 for n in sides["train"]} & {n // 4 for n in sides["hold_out"]}
