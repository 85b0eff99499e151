import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.analysis.metrics.complementarity import (
    complementarity,
    complementarity_by_seed,
    complementarity_over_seeds,
)
from clipit_eva.errors import InputError

KNOWN = "01_complementarity.json"


def test_each_seed(known, check):
    inputs, expected = known["inputs"], known["expected"]
    results = complementarity_by_seed(inputs["y"], inputs["text"], inputs["vision"])
    seeds = [key for key in expected if re.fullmatch(r"seed\d+", key)]
    assert len(seeds) == len(results)
    for key in seeds:
        check(expected[key], results[int(key[4:])], known["tolerance"]["default"])


def test_over_seeds(known, check):
    inputs, expected = known["inputs"], known["expected"]["across_seeds"]
    result = complementarity_over_seeds(inputs["y"], inputs["text"], inputs["vision"])
    check(expected, result, known["tolerance"]["default"])


def test_small_and_degenerate_tables(known, check):
    tiny, tolerance = known["inputs"]["tiny"], known["tolerance"]["default"]
    y, text, vision = tiny["y"], tiny["text"], tiny["vision"]
    results = {
        "tiny": complementarity(y, text, vision),
        "vision_perfect": complementarity(y, text, y),
        "text_equals_vision": complementarity(y, vision, vision),
    }
    for key, result in results.items():
        check(known["expected"][key], result, tolerance)
    handled = set(results) | {"across_seeds"}
    assert all(re.fullmatch(r"seed\d+", key) for key in set(known["expected"]) - handled)


def test_classes_partition_the_counts(known):
    inputs = known["inputs"]
    y, text, vision = (np.array(inputs[name]) for name in ("y", "text", "vision"))
    whole = complementarity(y, text[0], vision[0])
    members = [y == name for name in np.unique(y)]
    parts = [complementarity(y[of], text[0][of], vision[0][of]) for of in members]
    for count in ("n", "both_right", "text_only_right", "vision_only_right", "both_wrong"):
        assert sum(getattr(part, count) for part in parts) == getattr(whole, count)
    # Within one class, independence within class is independence.
    np.testing.assert_allclose(
        sum(part.expected_text_only_right_if_independent for part in parts),
        whole.expected_text_only_right_if_independent_within_class,
    )


RUNS = st.integers(0, 2**32 - 1)


def random_run(seed: int, n: int = 60, classes: int = 3, seeds: int = 3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    text, vision = (
        np.where(rng.random((seeds, n)) < 0.6, y, rng.integers(0, classes, (seeds, n)))
        for _ in range(2)
    )
    return rng, y, text, vision


@given(RUNS)
@settings(max_examples=40, deadline=None)
def test_swapping_the_models_gives_the_mirror(seed):
    _, y, text, vision = random_run(seed)
    one, two = complementarity(y, text[0], vision[0]), complementarity(y, vision[0], text[0])
    assert one.text_only_right == two.vision_only_right
    assert one.rescue_rate == two.mirror_rescue_rate
    assert (
        one.expected_text_only_right_if_independent == two.expected_vision_only_right_if_independent
    )
    assert one.text_only_right_rate_ci95 == two.vision_only_right_rate_ci95
    assert one.oracle_accuracy == two.oracle_accuracy
    assert one.mantel_haenszel_odds_ratio == pytest.approx(two.mantel_haenszel_odds_ratio)


@given(RUNS)
@settings(max_examples=40, deadline=None)
def test_order_of_samples_and_seeds_changes_nothing(seed):
    rng, y, text, vision = random_run(seed)
    samples, seeds = rng.permutation(len(y)), rng.permutation(len(text))
    one = complementarity_over_seeds(y, text, vision)
    two = complementarity_over_seeds(y[samples], text[seeds][:, samples], vision[seeds][:, samples])
    assert sorted(one.text_only_right_counts) == sorted(two.text_only_right_counts)
    assert one.text_only_right_any_seed == two.text_only_right_any_seed
    assert one.grid_mean == pytest.approx(two.grid_mean)
    if one.rate_crossed.refused is None:
        assert one.rate_crossed.ci95_floor == pytest.approx(two.rate_crossed.ci95_floor)


def test_a_coin_flip_rescues_half_of_the_errors_and_is_no_evidence():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 20_000)
    vision = np.where(rng.random(y.size) < 0.9, y, 1 - y)
    result = complementarity(y, rng.integers(0, 2, y.size), vision)
    assert result.rescue_rate == pytest.approx(0.5, abs=0.05)
    assert result.observed_over_expected == pytest.approx(1.0, abs=0.05)
    low, high = result.mantel_haenszel_ci95
    assert low < 1 < high
    chance = result.expected_text_only_right_if_independent_within_class
    assert result.text_only_right == pytest.approx(chance, rel=0.05)


def test_an_empty_cell_leaves_the_odds_ratio_undefined():
    result = complementarity([0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1])
    assert (result.odds_ratio, result.odds_ratio_ci95, result.yule_q) == (None, None, None)
    assert (result.mantel_haenszel_odds_ratio, result.mantel_haenszel_p) == (None, None)


def test_a_class_of_one_sample_does_not_spoil_the_pooled_odds_ratio():
    _, y, text, vision = random_run(4)
    without = complementarity(y, text[0], vision[0])
    result = complementarity([*y, 9], [*text[0], 9], [*vision[0], 0])
    assert result.mantel_haenszel_odds_ratio == without.mantel_haenszel_odds_ratio
    assert result.mantel_haenszel_p == without.mantel_haenszel_p
    assert result.mantel_haenszel_ci95 == without.mantel_haenszel_ci95


def test_one_seed_has_counts_but_no_crossed_interval():
    _, y, text, vision = random_run(1)
    result = complementarity_over_seeds(y, text[:1], vision[:1])
    assert result.sd_ddof1 is None
    assert result.rate_crossed.ci95_floor is None
    assert "1 seed" in result.refused


def test_slides_widen_the_crossed_interval():
    _, y, text, vision = random_run(2, n=600)
    # Whole slides are right or wrong together.
    slide = np.arange(600) // 20
    vision = np.where((slide % 3 == 0)[np.newaxis], (y + 1) % 3, y) + 0 * vision
    alone = complementarity_over_seeds(y, text, vision)
    grouped = complementarity_over_seeds(y, text, vision, clusters=slide)
    assert grouped.rate_crossed.se_floor > alone.rate_crossed.se_floor
    assert grouped.mirror_rate_crossed.se_floor > alone.mirror_rate_crossed.se_floor
    assert alone.rate_crossed.mark == "patch-level, optimistic"
    assert grouped.rate_crossed.mark is None


def test_different_numbers_of_seeds_are_refused():
    _, y, text, vision = random_run(3)
    with pytest.raises(InputError, match="text has 2 seeds, vision 3"):
        complementarity_over_seeds(y, text[:2], vision)
