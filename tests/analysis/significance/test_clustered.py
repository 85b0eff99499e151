import numpy as np
import pytest

from clipit_eva.analysis.significance import clustered_difference, crossed_test, samples_only_test

KNOWN = "09_slide_clustered.json"


def test_values(known, check, arms):
    first, second, _, slides = arms(known["inputs"])
    result = clustered_difference(first, second, slides)
    check(known["expected"], result, known["tolerance"]["default"])


def test_equals_the_jackknife_where_slides_are_alike():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 2, (2, 3, 80))
    slides = np.arange(80) % 8
    result = clustered_difference(first, second, slides)
    assert crossed_test(first, second, clusters=slides).se_samples_only == pytest.approx(result.se)
    samples = samples_only_test(first, second, clusters=slides)
    assert (samples.se, samples.p, samples.df) == pytest.approx((result.se, result.p, result.df))
    assert samples_only_test(first, second).se == pytest.approx(result.naive_se)


def test_slides_of_one_patch_are_independent_samples():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, (2, 1, 50))
    result = clustered_difference(first, second, np.arange(50))
    assert result.design_effect == pytest.approx(1.0)
    assert result.effective_n == pytest.approx(50)
    swapped = clustered_difference(second, first, np.arange(50))
    assert (swapped.t, swapped.p) == pytest.approx((-result.t, result.p))


def test_refusals_and_warnings():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, (2, 1, 60))
    few = clustered_difference(first, second, np.arange(60) % 4)
    assert (few.p, few.refused[:10]) == (None, "4 clusters")
    assert "only 6 clusters" in clustered_difference(first, second, np.arange(60) % 6).warnings[0]
    assert "zero variance" in clustered_difference(first, first, np.arange(60)).refused
