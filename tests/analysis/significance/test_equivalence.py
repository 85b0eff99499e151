import re

import numpy as np
import pytest

from clipit_eva.analysis.significance import (
    crossed_test,
    planned_ci90,
    tost_crossed,
    tost_paired,
    verdict,
    within_margin,
)
from clipit_eva.errors import InputError

KNOWN = "06_tost.json"
PCAM_TEST_SIZE = 32_768


def test_cases(known, check):
    for name, expected in known["expected"]["cases"].items():
        case = known["inputs"][name.rsplit("_margin", 1)[0]]
        result = tost_paired(case["x"], case["y"], expected["margin"])
        check(expected, result, known["tolerance"]["default"])


def test_planning(known, check):
    for plan in known["expected"]["planning_pcam"]:
        ci90 = planned_ci90(plan["diff"], plan["discordance"], PCAM_TEST_SIZE, plan["deff"])
        check(plan["ci90"], ci90, known["tolerance"]["default"])
        for key in plan:
            if key.startswith("equivalent_at"):
                points = re.fullmatch(r"equivalent_at_(\d+)p(\d+)pp", key).groups()
                assert within_margin(ci90, float(".".join(points)) / 100) is plan[key]


def arms(shift: float, seeds: int = 5, n: int = 4000):
    """Two arms whose errors differ on a few samples; the first is better by about `shift`."""
    rng = np.random.default_rng(4)
    second = rng.random((seeds, n)) < 0.9
    first = np.where(rng.random((seeds, n)) < 0.02, rng.random((seeds, n)) < 0.9, second)
    return np.where(rng.random((seeds, n)) < shift, True, first) * 1.0, second * 1.0


@pytest.mark.parametrize(
    ("shift", "margin", "label"),
    [
        (0.2, 0.005, "better"),
        (0.0, 0.005, "equivalent"),
        (0.0, 0.0005, "inconclusive"),
        (0.2, 0.5, "equivalent"),
    ],
)
def test_verdicts(shift, margin, label):
    first, second = arms(shift)
    test = crossed_test(first, second)
    assert verdict(test, margin, test.p_floor).label == label
    mirror = crossed_test(second, first)
    expected = {"better": "worse"}.get(label, label)
    assert verdict(mirror, margin, mirror.p_floor).label == expected


def test_crossed_equivalence_asks_the_same_as_its_interval():
    test = crossed_test(*arms(0.03))
    for margin in np.linspace(0.0005, 0.02, 40):
        result = tost_crossed(test, margin)
        assert result.equivalent is result.ci_inside_margin


def test_what_cannot_be_tested_is_inconclusive():
    test = crossed_test(*arms(0.0, seeds=2))
    result = verdict(test, 0.005, None)
    assert (result.label, result.reason) == ("inconclusive", test.refused)
    assert tost_crossed(test, 0.005).equivalent is None
    assert "zero variance" in tost_paired([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], 0.1).refused
    assert "2 seeds" in tost_paired([0.5, 0.6], [0.4, 0.6], 0.1).refused


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_a_margin_must_be_fixed(margin):
    with pytest.raises(InputError, match="fix a margin above 0"):
        tost_paired([0.5, 0.6, 0.8], [0.5, 0.6, 0.7], margin)
