"""Scores as means over samples: values by scikit-learn, spread by DeLong and by resampling."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from clipit_eva.analysis.metrics import per_sample, scores
from clipit_eva.analysis.significance.crossed import crossed_mean
from clipit_eva.analysis.significance.delong import delong_test

SAMPLES = 300


def draw(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three seeds, with ties, and targets; classes differ in size."""
    rng = np.random.default_rng(classes)
    targets = np.minimum(rng.integers(0, classes + 2, SAMPLES), classes - 1)
    probabilities = rng.dirichlet(np.ones(classes), (3, SAMPLES))
    probabilities[:, np.arange(SAMPLES), targets] += 0.3
    rounded = np.round(probabilities / probabilities.sum(axis=2, keepdims=True), 2) + 1e-3
    return rounded / rounded.sum(axis=2, keepdims=True), targets


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_scikit_learns(classes):
    probabilities, targets = draw(classes)
    auroc = crossed_mean(per_sample.auroc(probabilities, targets), classes=targets).per_seed
    decided = probabilities.argmax(axis=2)
    f1 = crossed_mean(per_sample.macro_f1(decided, targets), classes=targets).per_seed
    brier = per_sample.brier(probabilities, targets).mean(axis=1)
    ece = per_sample.ece(probabilities, targets).mean(axis=1)
    for seed, one in enumerate(probabilities):
        given = one[:, 1] if classes == 2 else one
        assert auroc[seed] == pytest.approx(roc_auc_score(targets, given, multi_class="ovr"))
        assert f1[seed] == pytest.approx(f1_score(targets, decided[seed], average="macro"))
        assert brier[seed] == pytest.approx(brier_score_loss(targets, given))
        assert ece[seed] == pytest.approx(scores.calibration(one, targets).ece)


def test_with_two_classes_the_spread_of_the_auroc_is_delongs():
    probabilities, targets = draw(2)
    known = delong_test(targets, probabilities[0, :, 1], probabilities[1, :, 1])
    values = per_sample.auroc(probabilities, targets)
    one = crossed_mean(values[:1], classes=targets).se_samples_only
    difference = crossed_mean(values[:1] - values[1:2], classes=targets).se_samples_only
    assert one == pytest.approx(np.sqrt(known.var_a))
    assert difference == pytest.approx(np.sqrt(known.var_a + known.var_b - 2 * known.cov))


def test_the_spread_of_scores_over_classes_is_that_of_new_samples_within_class():
    """A bootstrap within class, whose own error is about 1 / sqrt(2 x 1,000)."""
    probabilities, targets = draw(4)
    decided, rng = probabilities[0].argmax(axis=1), np.random.default_rng(0)
    members = [np.flatnonzero(targets == name) for name in range(4)]
    drawn = []
    for _ in range(1000):
        chosen = np.concatenate([rng.choice(mine, len(mine)) for mine in members])
        auroc = roc_auc_score(targets[chosen], probabilities[0][chosen], multi_class="ovr")
        drawn.append((auroc, f1_score(targets[chosen], decided[chosen], average="macro")))
    expected = np.std(drawn, axis=0, ddof=1)
    found = [
        crossed_mean(values, classes=targets).se_samples_only
        for values in (
            per_sample.auroc(probabilities[:1], targets),
            per_sample.macro_f1(decided[np.newaxis], targets),
        )
    ]
    np.testing.assert_allclose(found, expected, rtol=0.1)


def test_a_class_that_the_test_set_lacks_is_left_out():
    probabilities, targets = draw(4)
    some = targets != 2
    values = per_sample.auroc(probabilities[:, some], targets[some])
    one = probabilities[0][some]
    each = [roc_auc_score(targets[some] == name, one[:, name]) for name in (0, 1, 3)]
    found = crossed_mean(values, classes=targets[some]).per_seed[0]
    assert found == pytest.approx(np.mean(each))
