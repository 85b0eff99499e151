import re

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from clipit_eva.analysis.significance import cluster_bootstrap, stratified_bootstrap
from clipit_eva.errors import InputError

KNOWN = "07_paired_stratified_bootstrap.json"


def of_kind(inputs, with_slides):
    """The fixture's test set with (or without) slide ids."""
    (name,) = (key for key in inputs if ("slide" in inputs[key]) is with_slides)
    return inputs[name]


def agree(expected, result, known):
    """Compares one bootstrap with the fixture at the tolerance of 9,999 resamples."""
    assert result.n_resamples == 9_999
    tolerance = known["tolerance"]
    end = expected["tolerance_B9999_each_end"]
    assert result.estimate == pytest.approx(expected["estimate"], abs=tolerance["estimate"])
    for key, value in expected.items():
        if "percentile_ci95" in key:
            resamples = re.search(r"_B(\d+)", key)
            # A reference of few resamples adds its own Monte-Carlo error.
            wider = np.sqrt(1 + 9_999 / int(resamples[1])) if resamples else 1.0
            assert result.percentile_ci95 == pytest.approx(value, abs=end * wider)
    # Four Monte-Carlo standard errors of a standard error: 4 / sqrt(2 * 9,999).
    assert result.bootstrap_se == pytest.approx(expected["bootstrap_se"], rel=0.03)
    for key in ("exact_plugin_se", "analytic_se_ddof1"):
        if key in expected:
            wanted = pytest.approx(expected[key], abs=tolerance["exact_plugin_se"])
            assert getattr(result, key) == wanted


def test_within_class(known, arms):
    first, second, y, _ = arms(of_kind(known["inputs"], with_slides=False))
    for key, expected in known["expected"].items():
        if key == "seedavg":
            agree(expected, stratified_bootstrap(first, second, y), known)
        elif re.fullmatch(r"seed\d+", key):
            seed = int(key[4:])
            agree(expected, stratified_bootstrap(first[seed], second[seed], y), known)
        else:
            assert key == "slide_cluster_accuracy_diff"


def test_of_slides(known, arms):
    first, second, _, slides = arms(of_kind(known["inputs"], with_slides=True))
    result = cluster_bootstrap(first, second, slides)
    agree(known["expected"]["slide_cluster_accuracy_diff"], result, known)
    assert result.mark is None


def random_arms(seeds=2, n=80):
    rng = np.random.default_rng(0)
    first, second = ((rng.random((seeds, n)) < 0.8) * 1.0 for _ in range(2))
    return first, second, rng.permutation(np.arange(n) % 3), rng.permutation(np.arange(n) % 10)


def test_multinomial_draws_equal_resampled_indices():
    first, second, y, _ = random_arms()
    difference, rng = (first - second).mean(axis=0), np.random.default_rng(1)
    draws = np.zeros(20_000)
    for label in range(3):
        members = np.flatnonzero(y == label)
        drawn = rng.choice(members, size=(len(draws), len(members)))
        draws += difference[drawn].mean(axis=1) / 3
    result = stratified_bootstrap(first, second, y, n_resamples=20_000)
    assert result.bootstrap_se == pytest.approx(draws.std(), rel=0.03)
    assert result.percentile_ci95 == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.012)


def test_slides_of_balanced_accuracy_equal_resampled_predictions():
    first, second, y, slides = random_arms(seeds=1)
    rng = np.random.default_rng(2)
    draws = []
    for _ in range(2_000):
        picked = np.concatenate([np.flatnonzero(slides == g) for g in rng.integers(0, 10, 10)])
        truth = y[picked]
        if len(np.unique(truth)) == 3:
            one, two = (np.where(arm[0, picked] > 0, truth, 9) for arm in (first, second))
            scores = [
                np.mean([(p == truth)[truth == k].mean() for k in range(3)]) for p in (one, two)
            ]
            draws.append(scores[0] - scores[1])
    result = cluster_bootstrap(first, second, slides, classes=y, n_resamples=20_000)
    assert result.bootstrap_se == pytest.approx(np.std(draws), rel=0.07)
    whole = np.where(first[0] > 0, y, (y + 1) % 3), np.where(second[0] > 0, y, (y + 1) % 3)
    expected = balanced_accuracy_score(y, whole[0]) - balanced_accuracy_score(y, whole[1])
    assert result.estimate == pytest.approx(expected)


def test_accuracy_weighs_classes_by_size():
    first, second, _, _ = random_arms()
    y = (np.arange(80) < 20).astype(int)
    result = stratified_bootstrap(first, second, y, metric="accuracy")
    assert result.estimate == pytest.approx((first - second).mean())
    with pytest.raises(InputError, match="metric is 'f1'"):
        stratified_bootstrap(first, second, y, metric="f1")


def test_seeded_and_antisymmetric():
    first, second, y, slides = random_arms()
    one = stratified_bootstrap(first, second, y, seed=3)
    assert one == stratified_bootstrap(first, second, y, seed=3)
    assert one != stratified_bootstrap(first, second, y, seed=4)
    swapped = stratified_bootstrap(second, first, y)
    assert swapped.estimate == pytest.approx(-one.estimate)
    assert swapped.exact_plugin_se == pytest.approx(one.exact_plugin_se)
    mirrored = cluster_bootstrap(second, first, slides, seed=5).percentile_ci95
    low, high = cluster_bootstrap(first, second, slides, seed=5).percentile_ci95
    assert mirrored == pytest.approx((-high, -low))


def test_refusals_and_warnings():
    first, second, y, slides = random_arms()
    few = cluster_bootstrap(first, second, slides % 4)
    assert "4 clusters" in few.refused
    assert few.percentile_ci95 is None
    assert "only 10 clusters" in cluster_bootstrap(first, second, slides).warnings[0]
    # The second class lives on two slides, so that some resamples lack it.
    rare = (slides < 2).astype(int)
    result = cluster_bootstrap(first, second, slides, classes=rare)
    assert result.n_resamples < 9_999
    assert "resamples lacked a class" in result.warnings[1]
    assert "zero variance" in stratified_bootstrap(first, first, y).refused
    assert "zero variance" in cluster_bootstrap(first, first, slides).refused
    with pytest.raises(InputError, match="at least 1000"):
        stratified_bootstrap(first, second, y, n_resamples=100)
