import numpy as np
import pytest

from clipit_eva.analysis.significance import crossed_test

KNOWN = "17_unequal_slides.json"


def test_unequal_slides(known, check):
    for name, given in known["inputs"].items():
        for metric, expected in known["expected"][name].items():
            result = crossed_test(
                given["first"],
                given["second"],
                classes=given["y"] if metric == "balanced" else None,
                clusters=given["slide"],
            )
            derived = ("df_cases", "floor_binds")
            check(expected, result, known["tolerance"]["default"], without=derived)
            assert result.n_clusters - 1 == expected["df_cases"]
            assert (result.se_samples_only > result.se) == expected["floor_binds"]


def test_jackknife_equals_leaving_each_slide_out():
    rng = np.random.default_rng(0)
    n, slides = 90, rng.integers(0, 7, 90)
    first, second, y = rng.random((3, n)) < 0.8, rng.random((3, n)) < 0.6, rng.integers(0, 3, n)
    result = crossed_test(first, second, classes=y, clusters=slides)

    def estimate(kept):
        one, two, classes = first[:, kept], second[:, kept], y[kept]
        per_class = [one[:, classes == k].mean() - two[:, classes == k].mean() for k in range(3)]
        return np.mean(per_class)

    without = np.array([estimate(slides != slide) for slide in range(7)])
    by_hand = np.sqrt(6 / 7 * ((without - estimate(slides >= 0)) ** 2).sum())
    assert result.se_samples_only == pytest.approx(by_hand)


def test_a_class_in_one_slide_is_refused_by_name():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, (2, 3, 60))
    slides = np.arange(60) % 6
    classes = np.where(slides == 4, "tumour", "normal")
    test = crossed_test(first, second, classes=classes, clusters=slides)
    assert test.p_floor is None
    assert test.refused.startswith("class tumour sits in one slide only")
    assert test.estimate is not None
    assert crossed_test(first, second, clusters=slides).refused is None
