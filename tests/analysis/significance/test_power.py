import re

import numpy as np
import pytest

from clipit_eva.analysis.significance import (
    attainable,
    paired_t_power,
    paired_t_test,
    reaches_holm,
    smallest_d_z,
)
from clipit_eva.errors import InputError

KNOWN = "13_attainable_p_and_power.json"


def test_values(known, check):
    alpha, tolerance = known["inputs"]["alpha"], known["tolerance"]
    assert sorted(known["expected"], key=int) == [str(n) for n in known["inputs"]["n"]]
    for key, expected in known["expected"].items():
        n = int(key)
        result = attainable(n, alpha)
        for name, value in expected.items():
            if name.startswith("smallest_n_ok_for_holm_family_of_"):
                family = int(name.rsplit("_", 1)[1])
                assert reaches_holm(n, family, alpha) is value
            elif match := re.fullmatch(r"ci(\d+)_halfwidth_in_sd_units", name):
                assert int(match[1]) == round(100 * (1 - alpha))
                check(value, result.ci_halfwidth_in_sd_units, tolerance["default"])
            else:
                loose = "power" in name
                check({name: value}, result, tolerance["power" if loose else "default"])


def test_power_of_the_smallest_effect_is_the_power_asked_for():
    for n in (3, 5, 10):
        for power in (0.5, 0.8, 0.95):
            assert paired_t_power(smallest_d_z(n, power), n) == pytest.approx(power, abs=1e-6)


def test_interval_half_width_is_the_one_of_a_t_test():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 4))
    test = paired_t_test(first, second)
    half = (test.ci95[1] - test.ci95[0]) / 2
    assert half / test.sd_diff == pytest.approx(attainable(4).ci_halfwidth_in_sd_units)


def test_impossible_plans_are_refused():
    for n, alpha in ((1, 0.05), (3, 0.0), (3, 1.0)):
        with pytest.raises(InputError, match="at least 2"):
            attainable(n, alpha)
