"""Few labels of a training split: which are kept, and what becomes of the other samples."""

import collections
from typing import Any

import numpy as np
import pytest
import torch
from eva.vision.data.datasets import vision
from torch.utils.data import DataLoader

from clipit_eva.data import FewLabels, HoldOut
from clipit_eva.data.batches import UNKNOWN_TARGET
from clipit_eva.data.wrapper import eva_index
from clipit_eva.errors import InputError


class Labels(vision.VisionDataset):
    """Samples that are nothing but labels."""

    def __init__(self, labels: list[int], classes: int = 3) -> None:
        super().__init__()
        self._labels = labels
        self._classes = classes

    @property
    def classes(self) -> list[str]:
        return list("abc"[: self._classes])

    def __len__(self) -> int:
        return len(self._labels)

    def filename(self, index: int) -> str:
        return str(index)

    def load_data(self, index: int) -> torch.Tensor:
        return torch.tensor(index)

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(self._labels[index])

    def load_metadata(self, index: int) -> dict[str, Any]:
        return {}


@pytest.fixture
def dataset() -> Labels:
    return Labels([0] * 30 + [1] * 20 + [2] * 10)


def targets_of(few) -> list[int]:
    return [int(few.load_target(index)) for index in range(len(few))]


def test_all_labels_change_nothing(dataset):
    few = FewLabels(dataset)
    few.setup()
    assert targets_of(few) == targets_of(dataset)
    assert "labelled" not in few[3][2]


def test_dropped_are_all_but_some_of_each_class(dataset):
    few = FewLabels(dataset, labels_per_class=5)
    few.setup()
    assert collections.Counter(targets_of(few)) == {0: 5, 1: 5, 2: 5}
    assert [few[place][1] for place in range(15)] == targets_of(few)
    assert "labelled" not in few[0][2]


def test_a_seed_fixes_the_draw_and_more_labels_contain_fewer(dataset):
    def drawn(count, seed):
        few = FewLabels(dataset, labels_per_class=count, labels_seed=seed)
        few.setup()
        return {eva_index(few, place) for place in range(len(few))}

    assert drawn(5, 1) == drawn(5, 1) != drawn(5, 2)
    assert drawn(5, 1) < drawn(10, 1)


def test_unlabelled_samples_stay_without_their_label(dataset):
    few = FewLabels(dataset, labels_per_class=4, unlabelled=None, distill_weight=1.0)
    few.setup()
    assert len(few) == 60
    known = [bool(few[place][2]["labelled"]) for place in range(60)]
    shown = targets_of(few)
    assert sum(known) == 12
    assert [t for t, k in zip(shown, known, strict=True) if not k] == [UNKNOWN_TARGET] * 48
    own = targets_of(dataset)
    assert all(t == o for t, o, k in zip(shown, own, known, strict=True) if k)
    _, targets, metadata = next(iter(DataLoader(few, batch_size=60)))
    np.testing.assert_array_equal(metadata["labelled"], known)
    np.testing.assert_array_equal(targets, shown)


def test_no_label_is_drawn_from_a_hold_out(dataset):
    train, held = HoldOut(dataset, "train"), HoldOut(dataset, "hold_out")
    few = FewLabels(train, labels_per_class=6)
    few.setup()
    held.setup()
    mine = {eva_index(few, place) for place in range(len(few))}
    assert not mine & {eva_index(held, place) for place in range(len(held))}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"labels_per_class": 0}, "LABELS_PER_CLASS=0 must be at least 1"),
        ({"labels_per_class": -3}, "LABELS_PER_CLASS=-3 must be at least 1"),
        ({"labels_per_class": 1, "labels_seed": -1}, "LABELS_SEED=-1 must be at least 0"),
        ({"unlabelled": "distill", "distill_weight": 0.0}, "UNLABELLED=distill needs reports"),
    ],
)
def test_mistakes(dataset, arguments, words):
    with pytest.raises(InputError, match=words):
        FewLabels(dataset, **arguments)


def test_a_class_with_too_few_images_is_named(dataset):
    few = FewLabels(dataset, labels_per_class=11)
    with pytest.raises(InputError, match="class c has 10 images in the training part"):
        few.setup()
    few = FewLabels(Labels([0, 0, 1, 1]), labels_per_class=1)
    with pytest.raises(InputError, match="class c has 0 images"):
        few.setup()
