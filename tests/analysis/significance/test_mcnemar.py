import numpy as np
import pytest

from clipit_eva.analysis.significance import mcnemar_per_seed, mcnemar_test
from clipit_eva.errors import InputError

KNOWN = "02_mcnemar.json"


def test_tables(known, check):
    tolerance = known["tolerance"]["default"]
    for name, expected in known["expected"]["tables"].items():
        result = mcnemar_test(known["inputs"]["tables"][name])
        raw = tuple(key for key in expected if "raw" in key.lower())
        check(expected, result, tolerance, without=(*raw, "rule"))
        if "rule" in expected:
            assert result.note == "identical correctness"
        for key in raw:
            if key.endswith("WRONG"):
                assert expected[key] not in (result.asymptotic, result.asymptotic_cc, result.exact)


def test_each_seed(known, check):
    inputs = known["inputs"]["bach"]
    y = np.array(inputs["y"])
    result = mcnemar_per_seed(np.array(inputs["a"]) == y, np.array(inputs["b"]) == y)
    expected = known["expected"]["bach_per_seed"]
    check(expected, result.per_seed, known["tolerance"]["default"])
    exact = [seed["exact"] for seed in expected]
    assert result.exact_range == pytest.approx((min(exact), max(exact)))
    midp = [seed["midp"] for seed in expected]
    assert result.midp_range == pytest.approx((min(midp), max(midp)))


def test_swapping_the_models_keeps_p_and_flips_the_difference():
    one, two = mcnemar_test([[50, 9], [2, 10]]), mcnemar_test([[50, 2], [9, 10]])
    assert (one.exact, one.midp) == (two.exact, two.midp)
    assert one.risk_difference == -two.risk_difference


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 2, 3]], "2x2"),
        ([[1, -2], [3, 4]], "not negative"),
        ([[1, 2.5], [3, 4]], "whole"),
        ([[0, 0], [0, 0]], "empty"),
    ],
)
def test_impossible_tables_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        mcnemar_test(table)


def test_rates_are_refused_where_correctness_is_needed():
    with pytest.raises(InputError, match="first must hold only 0"):
        mcnemar_per_seed([0.5, 1.0], [0.0, 1.0])
