"""Rejection rates in simulation: procedures without a difference, new seeds and new samples.

The model is the one of the fixture: logit of a right answer = item N(4.5, 3^2) + arm by item
N(0, 1) + arm by slide N(0, sd_slide^2) + seed N(0, sd_seed^2) + effect; accuracy is about .89.
"""

from collections import Counter

import numpy as np
import pytest
from scipy.special import expit
from simulated_study import Margins, TestSet, draw_right, patches_of_slides

from clipit_eva.analysis.significance import (
    attribute,
    clustered_difference,
    crossed_test,
    crossed_test_over_backbones,
    mcnemar_test,
    paired_t_test,
    paired_table,
    samples_only_test,
    tost_crossed,
)

KNOWN = "15_simulated_error_rates.json"


SEEDS = [3, pytest.param(5, marks=pytest.mark.long)]


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
@pytest.mark.parametrize("seeds", SEEDS)
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
@pytest.mark.parametrize("seeds", SEEDS)
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


# Slides of unequal size and mix of classes, half of them without tumour: `patches_of_slides`.


@pytest.mark.slow
@pytest.mark.parametrize("slides", [8, 16, 32])
@pytest.mark.parametrize("seeds", [3, 5])
def test_false_positives_of_the_headline_test_on_unequal_slides(seeds, slides):
    rng, margins, repetitions, rejected = np.random.default_rng(17), Margins(), 2_500, 0
    for _ in range(repetitions):
        test = patches_of_slides(rng, slides)
        (one,), (two,) = draw_right(rng, test, margins, (0, 0), seeds)
        rejected += below(
            crossed_test(one, two, classes=test.classes, clusters=test.slides).p_floor
        )
    print(f"{seeds} seeds, {slides} slides: {rejected / repetitions:.4f}")
    assert 0.025 <= rejected / repetitions <= 0.075


@pytest.mark.slow
@pytest.mark.parametrize("slides", [8, 16, 32])
@pytest.mark.parametrize("seeds", [3, 5])
def test_equivalence_is_rarely_claimed_of_a_difference_at_the_margin(seeds, slides):
    """The margin is about three standard errors: it could be claimed of no difference."""
    rng, repetitions, claimed = np.random.default_rng(18), 2_000, 0
    margins, margin = Margins(arm_sample=0.02, arm_slide=0.005, seed=0.002), 0.06
    shifts = margins.shifts(margin)
    for _ in range(repetitions):
        test = patches_of_slides(rng, slides)
        (one,), (two,) = draw_right(rng, test, margins, shifts, seeds)
        done = crossed_test(one, two, classes=test.classes, clusters=test.slides)
        claimed += bool(tost_crossed(done, margin).equivalent)
    print(f"{seeds} seeds, {slides} slides: {claimed / repetitions:.4f}")
    assert 0.01 <= claimed / repetitions <= 0.06


@pytest.mark.slow
def test_family_wise_error_of_18_cells_with_3_seeds():
    """Six backbones on three datasets, without any difference: one wrong claim is an error."""
    rng, repetitions, wrong = np.random.default_rng(19), 2_000, 0
    for _ in range(repetitions):
        datasets = {
            "PatchCamelyon": patches_of_slides(rng, 16),
            "BACH": TestSet(np.repeat(np.arange(4), 33)),
            "CRC": TestSet(rng.integers(0, 9, 900)),
        }
        tests = {}
        for name, test in datasets.items():
            shifts = (0, 0, 0)
            drawn = draw_right(rng, test, Margins(), shifts, n_seeds=3, n_backbones=6)
            clip_it, unimodal, no_text = map(list, drawn)
            options = {"classes": test.classes, "clusters": test.slides}
            tests[name] = {
                "method": crossed_test_over_backbones(clip_it, unimodal, **options),
                "text": crossed_test_over_backbones(clip_it, no_text, **options),
            }
        found = attribute(tests, margin=0.005)
        assert sum(len(one.holm) for one in found.values()) == 6
        wrong += any(p < 0.05 for one in found.values() for p in one.holm.values())
    print(f"{wrong / repetitions:.4f}")
    assert wrong / repetitions <= 0.06
