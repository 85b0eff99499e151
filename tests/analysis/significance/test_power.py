import math
import re

import numpy as np
import pytest
from simulated_study import Margins, TestSet, draw_right, patches_of_slides
from statsmodels.stats.power import TTestPower

from clipit_eva.analysis.significance import (
    Assumptions,
    Variances,
    attainable,
    crossed_test,
    detectable,
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


def test_a_detectable_difference_is_found_with_the_power_asked_for():
    for df in (2, 7.5, 40, 1_000):
        for power in (0.8, 0.9):
            ours = detectable(2.0, df, power) / 2.0 / np.sqrt(df + 1)  # nobs = df + 1
            assert TTestPower().power(ours, df + 1, 0.05) == pytest.approx(power, abs=1e-5)
    assert detectable(1.0, math.inf) == pytest.approx(1.959964 + 0.841621, abs=1e-4)


def test_more_seeds_or_backbones_lead_to_the_wall_of_the_test_set():
    variances = Variances(seed=9.0, shared=4.0, df_cases=100)
    gains = [variances.detectable(n) for n in (3, 5, 10, 100, math.inf)]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] == pytest.approx(detectable(2.0, 100))
    several = Variances(seed=9.0, shared=4.0, df_cases=100, n_backbones=6)
    assert gains[-1] < several.detectable(3) < gains[2]  # 18 runs of each arm, against 10


def test_slides_and_samples_that_allow_no_test_are_refused():
    with pytest.raises(InputError, match="7 test samples are too few"):
        Assumptions().variances(7, 4, None, 1)
    with pytest.raises(InputError, match="4 slides: too few"):
        Assumptions().variances(700, 4, 4, 1)


@pytest.mark.slow
@pytest.mark.parametrize("slides", [None, 50])
def test_the_gain_foretold_is_the_one_that_four_of_five_simulated_studies_detect(slides):
    """Within 15%: power is below 80% at 85% of the gain, and above it at 115%."""
    rng, assumed, repetitions = np.random.default_rng(4), Assumptions(), 1_500
    bach = TestSet(np.repeat(np.arange(4), 33))
    size = (132, 4, None) if slides is None else (3_000, 2, slides)
    gain = assumed.variances(*size, n_backbones=1).detectable(n_seeds=5)
    margins, detected = Margins.of(assumed, slides=slides is not None), []
    for share in (0.85, 1.15):
        shifts, found = margins.shifts(share * gain), 0
        for _ in range(repetitions):
            test = bach if slides is None else patches_of_slides(rng, slides)
            (one,), (two,) = draw_right(rng, test, margins, shifts, n_seeds=5)
            done = crossed_test(one, two, classes=test.classes, clusters=test.slides)
            found += done.p_floor is not None and done.p_floor < 0.05 and done.estimate > 0
        detected.append(found / repetitions)
    print(f"{slides} slides, gain {100 * gain:.1f}: detected {detected}")
    assert detected[0] < 0.8 < detected[1]
