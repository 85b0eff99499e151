import numpy as np
import pytest

from clipit_eva.analysis.significance import cohen_d_z, paired_t_test, seed_summary
from clipit_eva.errors import InputError

KNOWN = "03_paired_t.json"


def test_cases(known, check):
    for name, expected in known["expected"]["cases"].items():
        result = paired_t_test(*known["inputs"][name])
        check(expected, result, known["tolerance"]["default"], without=("power_post_hoc",))
        assert not hasattr(result, "power_post_hoc")


def test_traps_are_not_reported(known):
    traps = [key for key in known["expected"] if key.startswith("trap")]
    assert traps
    for key in traps:
        first, second = map(np.array, known["inputs"][key.rsplit("_", 1)[1]])
        assert cohen_d_z(first - second) != pytest.approx(known["expected"][key], rel=1e-3)


def test_zero_variance_is_refused(known):
    case = known["expected"]["zero_variance"]
    result = paired_t_test(case["x"], case["y"])
    assert case["expected"].startswith("refuse")
    assert "zero variance" in result.refused
    assert (result.p, result.t, result.ci95, result.cohen_d_z) == (None, None, None, None)
    np.testing.assert_allclose(result.mean_diff, np.mean(case["x"]) - np.mean(case["y"]))


def test_rounding_noise_does_not_hide_zero_variance():
    first, second = np.array([0.7, 0.15, 1.1]), np.array([0.6, 0.05, 1.0])
    assert np.ptp(first - second) > 0
    assert "zero variance" in paired_t_test(first, second).refused


def test_swapping_arms_flips_signs():
    one = paired_t_test([0.91, 0.92, 0.95], [0.90, 0.93, 0.91])
    two = paired_t_test([0.90, 0.93, 0.91], [0.91, 0.92, 0.95])
    assert (one.t, one.mean_diff, one.p) == (-two.t, -two.mean_diff, two.p)
    assert one.ci95 == pytest.approx((-two.ci95[1], -two.ci95[0]))


@pytest.mark.parametrize(("n", "warned"), [(3, True), (4, True), (5, False)])
def test_few_seeds_are_warned_about(n, warned):
    rng = np.random.default_rng(n)
    result = paired_t_test(rng.random(n), rng.random(n))
    assert result.refused is None
    assert bool(result.warnings) is warned


def test_two_seeds_have_mean_and_range_only():
    result = paired_t_test([0.9, 0.8], [0.7, 0.5])
    assert result.refused == "2 seeds: the paired t-test needs at least 3"
    assert (result.p, result.sd_diff) == (None, None)
    assert (result.minimum, result.maximum) == pytest.approx((0.2, 0.3))
    summary = seed_summary([0.9, 0.8])
    assert summary.sd is None
    assert (summary.minimum, summary.maximum) == (0.8, 0.9)


def test_a_missing_seed_is_refused():
    with pytest.raises(InputError, match="first has 3 values, second 2"):
        paired_t_test([0.1, 0.2, 0.3], [0.1, 0.2])
    with pytest.raises(InputError, match="NaN"):
        paired_t_test([0.1, 0.2, float("nan")], [0.1, 0.2, 0.3])
