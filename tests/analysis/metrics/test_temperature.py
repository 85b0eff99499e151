"""Temperature scaling, against logistic regression and the condition of its optimum."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special

from clipit_eva.analysis.metrics.temperature import fit_temperature, scaled


def draw(classes: int, sureness: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model that is too sure by a factor, and targets drawn from the truth."""
    rng = np.random.default_rng(classes)
    logits = rng.normal(size=(2000, classes))
    truth = special.softmax(logits, axis=1)
    targets = np.array([rng.choice(classes, p=row) for row in truth])
    return special.softmax(sureness * logits, axis=1).astype(np.float32), targets


@pytest.mark.parametrize("sureness", [0.5, 1.0, 4.0])
def test_with_two_classes_it_is_logistic_regression_on_the_log_odds(sureness):
    probabilities, targets = draw(2, sureness)
    odds = np.log(probabilities[:, 1].astype(float) / probabilities[:, 0])
    slope = sm.Logit(targets, odds).fit(disp=False).params[0]
    assert fit_temperature(probabilities, targets) == pytest.approx(1 / slope, rel=1e-3)


def test_with_more_classes_the_mean_logit_of_the_truth_is_the_expected_one():
    """The derivative of the cross-entropy is 0 there (Guo et al. 2017, appendix)."""
    probabilities, targets = draw(5, 3.0)
    temperature = fit_temperature(probabilities, targets)
    logits = np.log(probabilities.astype(float))
    expected = (scaled(probabilities, temperature) * logits).sum(axis=1).mean()
    assert logits[np.arange(len(targets)), targets].mean() == pytest.approx(expected, rel=1e-3)
    assert 2.5 < temperature < 3.5


def test_decisions_stay_and_a_temperature_of_one_changes_nothing():
    probabilities, _ = draw(5, 3.0)
    softer = scaled(probabilities[np.newaxis], 3.0)
    np.testing.assert_array_equal(softer[0].argmax(axis=1), probabilities.argmax(axis=1))
    assert softer.max() < probabilities.max()
    np.testing.assert_allclose(scaled(probabilities, 1.0), probabilities, rtol=1e-5)


def test_probabilities_that_became_zero_give_a_finite_temperature():
    probabilities = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    # Two of three are right: log-odds of ln 2; the smallest float32 is 2 to the -126.
    assert fit_temperature(probabilities, [0, 1, 1]) == pytest.approx(126, rel=1e-3)
