"""Rejection rates in simulation: procedures without a difference, new seeds and new samples.

The model is the one of the fixture: logit of a right answer = item N(4.5, 3^2) + arm by item
N(0, 1) + arm by slide N(0, sd_slide^2) + seed N(0, sd_seed^2) + effect; accuracy is about .89.
"""

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit

from clipit_eva.analysis.significance import (
    clustered_difference,
    crossed_test,
    mcnemar_test,
    paired_t_test,
    paired_table,
    samples_only_test,
)

KNOWN = "15_simulated_error_rates.json"


def simulate(rng, *, seeds, samples, sd_seed_logit, slides=0, sd_slide_logit=0.0, effect_logit=0.0):
    """Draws a test set and both arms' correctness on it."""
    item = rng.normal(4.5, 3.0, samples)
    slide = np.arange(samples) % slides if slides else None
    arms = []
    for shift in (effect_logit, 0.0):
        logit = item + rng.normal(shift, 1.0, samples)
        if slide is not None:
            logit = logit + rng.normal(0.0, sd_slide_logit, slides)[slide]
        logit = logit + rng.normal(0.0, sd_seed_logit, (seeds, 1))
        arms.append((rng.random(logit.shape, dtype=np.float32) < expit(logit)) * 1.0)
    return arms[0], arms[1], slide


def below(p, level=0.05):
    return p is not None and p < level


# Without seed variance the floor makes the test more conservative than 3% (compared below).
@pytest.mark.slow
@pytest.mark.parametrize("sd_seed", [0.1, 0.3])
@pytest.mark.parametrize("slides", [0, 20])
@pytest.mark.parametrize("seeds", [3, 5])
def test_false_positives_of_the_crossed_test(seeds, slides, sd_seed):
    rng, repetitions, rejected = np.random.default_rng(15), 2_000, 0
    for _ in range(repetitions):
        first, second, slide = simulate(
            rng,
            seeds=seeds,
            samples=6_000 if slides else 7_180,
            sd_seed_logit=sd_seed,
            slides=slides,
            sd_slide_logit=0.5,
        )
        rejected += below(crossed_test(first, second, clusters=slide).p_floor)
    assert 0.03 <= rejected / repetitions <= 0.08


def decisions(first, second, slide):
    """Which of the fixture's procedures reject, by its names for them."""
    crossed = crossed_test(first, second, clusters=slide)
    seeds = paired_t_test(first.mean(axis=1), second.mean(axis=1)).p
    if slide is not None:
        return {
            "crossed_slide": below(crossed.p),
            "crossed_slide_floor": below(crossed.p_floor),
            "slide_robust_seedavg": below(clustered_difference(first, second, slide).p),
            "t_seeds": below(seeds),
            "McNemar_seed0": below(mcnemar_test(paired_table(first[0], second[0])).exact),
        }
    samples = samples_only_test(first, second).p
    return {
        "samples": below(samples),
        "t_seeds": below(seeds),
        "crossed": below(crossed.p),
        "max(crossed,samples)": below(crossed.p) and below(samples),
        "crossed_SEfloor": below(crossed.p_floor),
    }


@pytest.mark.slow
@pytest.mark.parametrize("samples", [132, 7_180])
@pytest.mark.parametrize("seeds", [3, 5])
def test_without_seed_variance_the_floor_only_errs_on_the_safe_side(seeds, samples):
    rng, repetitions, rejected = np.random.default_rng(15), 2_000, 0
    for _ in range(repetitions):
        first, second, _ = simulate(rng, seeds=seeds, samples=samples, sd_seed_logit=0.0)
        rejected += below(crossed_test(first, second).p_floor)
    assert rejected / repetitions <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("block", ["crossed_and_floor", "slides"])
def test_rejection_rates_are_the_recorded_ones(known, block):
    repetitions, different = 300, []
    for place, config in enumerate(known["expected"][block]):
        recorded, recorded_repetitions = config["rejection"], config["reps"]
        model = {key: config[key] for key in config if key not in ("rejection", "reps")}
        rng, counts = np.random.default_rng([15, place]), Counter()
        for _ in range(repetitions):
            counts.update(decisions(*simulate(rng, **model)))
        assert set(recorded) == set(counts)
        for name, rate in recorded.items():
            ours = counts[name] / repetitions
            pooled = (counts[name] + rate * recorded_repetitions + 1) / (
                repetitions + recorded_repetitions + 2
            )
            variance = pooled * (1 - pooled) * (1 / repetitions + 1 / recorded_repetitions)
            if abs(ours - rate) > 4.5 * np.sqrt(variance):
                different.append(f"{model} {name}: {ours:.3f}, recorded {rate:.3f}")
    assert not different
