import re

import numpy as np
import pytest
from scipy.stats import norm

from clipit_eva.analysis.significance import (
    cohen_d_z,
    hedges_g_z,
    probability_of_outperforming,
    wilson_interval,
)

KNOWN = "14_probability_of_outperforming.json"


def test_values(known, check):
    tolerance = known["tolerance"]["default"]
    for name, expected in known["expected"].items():
        if match := re.fullmatch(r"wilson_(\d+)_of_(\d+)", name):
            check(expected, wilson_interval(int(match[1]), int(match[2])), tolerance)
        else:
            case = known["inputs"][name]
            check(expected, probability_of_outperforming(case["x"], case["y"]), tolerance)


def test_ties_count_half_and_swapping_gives_the_complement():
    x, y = [0.9, 0.8, 0.7, 0.6], [0.8, 0.8, 0.6, 0.7]
    one, two = probability_of_outperforming(x, y), probability_of_outperforming(y, x)
    assert (one.wins, one.ties, one.paired) == (2, 1, 0.625)
    assert one.paired + two.paired == 1
    assert one.unpaired_mann_whitney + two.unpaired_mann_whitney == 1
    pairs = np.subtract.outer(x, y)
    expected = (pairs > 1e-12).mean() + 0.5 * (np.abs(pairs) <= 1e-12).mean()
    assert one.unpaired_mann_whitney == pytest.approx(expected)
    assert "descriptive: 4 paired runs" in one.warnings[0]


def test_float_noise_is_a_tie():
    assert probability_of_outperforming([0.1 + 0.2], [0.3]).ties == 1


def test_wilson_interval_solves_the_score_equation():
    low, high = wilson_interval(7, 20)
    for limit in (low, high):
        z = (7 / 20 - limit) / np.sqrt(limit * (1 - limit) / 20)
        assert abs(z) == pytest.approx(norm.ppf(0.975))


def test_effect_sizes_of_paired_differences():
    d = np.array([1.0, 2.0, 4.0])
    assert cohen_d_z(d) == pytest.approx(d.mean() / d.std(ddof=1))
    # J(2) = gamma(1) / gamma(1/2) = 1 / sqrt(pi).
    assert hedges_g_z(d) == pytest.approx(cohen_d_z(d) / np.sqrt(np.pi))
    assert hedges_g_z(-d) == -hedges_g_z(d)
