"""Which slide or patient images are of, and shares that part none."""

import math

import numpy as np
import pytest
from eva.vision.data.datasets import vision
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.data.groups import draw_share, groups_of
from clipit_eva.errors import InputError


class Named(vision.VisionDataset):
    """Samples that are nothing but file names."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def filename(self, index: int) -> str:
        return self.names[index]

    load_data = load_target = None  # type: ignore[assignment]


class Telling(Named):
    def group(self, index: int) -> str | None:
        return None if self.names[index] == "?" else self.names[index][0]


@pytest.mark.parametrize(
    ("dataset", "filename", "group"),
    [
        ("BreaKHis", "x/SOB_B_TA_14-16184CD/40X/SOB_B_TA-14-16184CD-40-001.png", "16184CD"),
        ("BRACS", "test/0_N/BRACS_1228_N_12.png", "BRACS_1228"),
        ("GleasonArvaniti", "t/ZT76_39_A_1_2/ZT76_39_A_1_2_patch_00_class_0.jpg", "ZT76_39_A_1_2"),
        ("UniToPatho", "NORM/57-B2-NORM.ndpi_ROI__mpp0.44_reg000_crop_sk0_(6,1,2).png",
         "57-B2-NORM"),
    ],
)  # fmt: skip
def test_names_of_eva_s_datasets_tell(dataset: str, filename: str, group: str) -> None:
    images = type(dataset, (Named,), {})([filename, filename])
    assert groups_of(images) == [group, group]
    assert groups_of(images, [1]) == [group]
    assert groups_of(type(dataset, (Named,), {})([filename, "other.png"])) is None


def test_a_dataset_may_tell_itself_or_not_at_all() -> None:
    assert groups_of(Telling(["a1", "b1", "a2"]), [2, 1]) == ["a", "b"]
    assert groups_of(Telling(["a1", "?"])) is None
    assert groups_of(Named(["a1"])) is None


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=12, max_size=80),
       st.integers(0, 50))  # fmt: skip
def test_no_group_is_parted(samples: list[tuple[int, int]], seed: int) -> None:
    targets = [0, 0, 1, 1, *(target for target, _ in samples)]
    groups = ["x", "y", "x", "z", *(str(group) for _, group in samples)]
    held = draw_share(targets, groups, 0.2, seed)
    assert held.tolist() == sorted(set(held.tolist()))
    assert 0 < len(held) < len(targets)
    rest = np.setdiff1d(np.arange(len(targets)), held)
    assert not {groups[n] for n in held} & {groups[n] for n in rest}
    assert held.tolist() == draw_share(targets, groups, 0.2, seed).tolist()


def test_one_group_cannot_be_parted() -> None:
    with pytest.raises(InputError, match="all images are of group a; to hold out needs 2"):
        draw_share([0, 1, 0], ["a", "a", "a"], 0.2, seed=1)


def test_share_of_each_class_is_held_out() -> None:
    targets = np.repeat([0, 1, 2], [100, 50, 25])
    for groups in (None, [str(n // 5) for n in range(175)]):
        held = draw_share(targets, groups, 0.2, seed=1)
        assert np.bincount(targets[held]).tolist() == [20, 10, 5]
    assert (held != draw_share(targets, groups, 0.2, seed=2)).any()


def test_a_class_of_few_groups_is_in_the_share_if_it_can_be() -> None:
    """Of five folds two have none of the second class, which has three groups."""
    targets = [0] * 100 + [1] * 30
    groups = [f"a{n // 2}" for n in range(100)] + [f"b{n // 10}" for n in range(30)]
    for seed in range(20):
        held = draw_share(targets, groups, 0.2, seed)
        assert sum(targets[n] for n in held) == 10
        assert math.isclose(len(held), 30, abs_tol=4)
