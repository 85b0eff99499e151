import numpy as np
import pytest

from clipit_eva.analysis.significance import crossed_test, crossed_test_over_backbones
from clipit_eva.errors import InputError

KNOWN = "18_mean_over_backbones.json"


def test_known_means(known, check):
    for name, given in known["inputs"].items():
        result = crossed_test_over_backbones(
            given["first"], given["second"], classes=given["y"], clusters=given["slide"]
        )
        check(known["expected"][name], result, known["tolerance"]["default"])


@pytest.mark.parametrize("clustered", [False, True])
def test_one_backbone_is_the_crossed_test(clustered):
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, (2, 4, 120))
    options = {"classes": np.arange(120) % 3, "clusters": np.arange(120) % 8 if clustered else None}
    alone = crossed_test(first, second, **options)
    mean = crossed_test_over_backbones([first], [second], **options)
    for field in ("estimate", "se", "se_floor", "df_floor", "p_floor", "ci95_floor"):
        assert getattr(mean, field) == pytest.approx(getattr(alone, field))


def test_backbones_may_differ_in_their_number_of_seeds():
    rng = np.random.default_rng(1)
    arms = [rng.integers(0, 2, (2, seeds, 80)) for seeds in (3, 5)]
    one = crossed_test_over_backbones([a[0] for a in arms], [a[1] for a in arms])
    two = crossed_test_over_backbones([a[0] for a in arms[::-1]], [a[1] for a in arms[::-1]])
    assert (one.n_seeds, two.n_seeds) == ((3, 5), (5, 3))
    assert (one.p_floor, one.se) == pytest.approx((two.p_floor, two.se))
    assert one.estimate == pytest.approx(np.mean(one.per_backbone))


def test_refusals():
    arm = np.zeros((3, 10))
    with pytest.raises(InputError, match="2 backbones, second 1"):
        crossed_test_over_backbones([arm, arm], [arm])
    with pytest.raises(InputError, match="differ in their samples"):
        crossed_test_over_backbones([arm, arm[:, 1:]], [arm, arm[:, 1:]])
    rng = np.random.default_rng(2)
    arms = rng.integers(0, 2, (2, 2, 2, 30))
    few = crossed_test_over_backbones(list(arms[0]), list(arms[1]))
    assert few.refused == "2 seeds: the crossed test needs at least 3"
