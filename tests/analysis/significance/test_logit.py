import numpy as np
import pytest

from clipit_eva.analysis.significance import gee_logit

KNOWN = "11_mixed_logit.json"
REFERENCE_ONLY = ("glmer", "glmer_slope", "glmer_slide_slope")


def test_gee(known, check, arms):
    first, second, _, slides = arms(known["inputs"])
    expected, tolerance = known["expected"], known["tolerance"]["gee"]
    check(expected["gee_samp"], gee_logit(first, second), tolerance)
    check(expected["gee_slide"], gee_logit(first, second, slides), tolerance)
    left = set(expected) - {"gee_samp", "gee_slide", *REFERENCE_ONLY}
    assert all("vb_random_intercepts" in key for key in left)


def test_estimate_is_the_log_odds_ratio_of_the_accuracies():
    rng = np.random.default_rng(0)
    first, second = (rng.random((3, 200)) < 0.8) * 1.0, (rng.random((3, 200)) < 0.6) * 1.0
    odds = [arm.mean() / (1 - arm.mean()) for arm in (first, second)]
    result = gee_logit(first, second)
    assert result.est == pytest.approx(np.log(odds[0] / odds[1]))
    swapped = gee_logit(second, first)
    assert (swapped.est, swapped.se) == pytest.approx((-result.est, result.se))


def test_refusals_and_warnings():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, (2, 3, 60))
    assert "4 clusters" in gee_logit(first, second, np.arange(60) % 4).refused
    assert "only 6 clusters" in gee_logit(first, second, np.arange(60) % 6).warnings[0]
    assert "infinite" in gee_logit(first * 0 + 1, second).refused
    assert "zero variance" in gee_logit(first, first).refused
