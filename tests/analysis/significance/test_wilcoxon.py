import itertools

import numpy as np
import pytest
from scipy import stats

from clipit_eva.analysis.significance import min_two_sided_p, signed_rank, wilcoxon_test

KNOWN = "04_wilcoxon.json"


def test_cases(known, check):
    for name, expected in known["expected"]["cases"].items():
        case = known["inputs"]["cases"][name]
        differences = np.array(case["x"]) - np.array(case["y"])
        check(expected, signed_rank(differences), known["tolerance"]["default"], ("verdict",))
        test = wilcoxon_test(differences)
        assert (test.refused is not None) is expected["verdict"].startswith("refuse")
        assert test.p == (None if test.refused else pytest.approx(expected["p"]))
        assert test.min_attainable_two_sided_p == expected["min_attainable_two_sided_p"]


def test_ties_are_enumerated(known, check):
    for name, expected in known["expected"]["ties"].items():
        traps = tuple(key for key in expected if key.startswith("trap"))
        result = signed_rank(known["inputs"]["ties"][name])
        check(expected, result, known["tolerance"]["default"], traps)


def test_smallest_p(known):
    for n, expected in known["expected"]["min_two_sided_p"].items():
        assert min_two_sided_p(int(n)) == expected
        assert stats.wilcoxon(np.arange(1, int(n) + 1)).pvalue == pytest.approx(expected)


def test_p_with_ties_equals_a_count_over_all_sign_flips():
    differences = np.array([2, 2, -1, 3, 3, 1, -4])
    ranks = stats.rankdata(np.abs(differences))
    observed = abs((np.sign(differences) * ranks).sum())
    flips = np.array(list(itertools.product([-1, 1], repeat=len(ranks))))
    expected = (np.abs(flips @ ranks) >= observed - 1e-9).mean()
    assert wilcoxon_test(differences).p == pytest.approx(expected)


def test_float_noise_does_not_break_ties():
    scores = np.array([0.93, 0.41, 0.72, 0.66, 0.31, 0.87, 0.55])
    steps = np.array([2, 2, -2, 3, 3, 1, -1])
    noisy = scores - (scores - steps / 10)
    assert len(np.unique(np.abs(noisy))) > 3
    one, two = wilcoxon_test(noisy), wilcoxon_test(steps)
    assert (one.p, one.t_plus) == (two.p, two.t_plus)


def test_swapping_arms_flips_the_effect():
    one, two = wilcoxon_test([1, 2, -3, 4, 5, 6]), wilcoxon_test([-1, -2, 3, -4, -5, -6])
    assert one.p == two.p
    assert one.rank_biserial == pytest.approx(-two.rank_biserial)


def test_zeros_do_not_count_as_pairs():
    test = wilcoxon_test([0, 0, 1, 2, 3, 4, 5])
    assert test.n == 5
    assert "at least 0.0625" in test.refused
    nothing = wilcoxon_test([0.0] * 8)
    assert (nothing.n, nothing.p) == (0, None)
    assert "every difference is 0" in nothing.refused
