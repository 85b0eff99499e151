import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix

from clipit_eva.analysis.metrics import scores


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    targets = rng.choice(4, 200, p=[0.1, 0.2, 0.3, 0.4])
    return targets, rng.integers(0, 4, (3, 200))


def test_scores_are_those_of_scikit_learn(data):
    targets, predictions = data
    plain = [accuracy_score(targets, one) for one in predictions]
    balanced = [balanced_accuracy_score(targets, one) for one in predictions]
    np.testing.assert_allclose(scores.accuracy(predictions, targets), plain)
    np.testing.assert_allclose(scores.balanced_accuracy(predictions, targets), balanced)


def test_confusion_is_the_mean_over_seeds(data):
    targets, predictions = data
    expected = np.mean([confusion_matrix(targets, one) for one in predictions], axis=0)
    np.testing.assert_allclose(scores.confusion(predictions, targets, 4), expected)


def test_flips_count_what_only_one_model_has_right():
    targets = np.array([0, 0, 1, 1])
    first = np.array([[0, 1, 1, 0], [0, 1, 0, 0]])
    second = np.array([[1, 0, 1, 1], [0, 0, 1, 1]])
    flips = scores.flips(first, second, targets, 3)
    np.testing.assert_allclose(flips.rescued, [1.0, 1.5, 0.0])
    np.testing.assert_allclose(flips.lost, [0.5, 0.0, 0.0])


def test_calibration_error_is_that_of_torchmetrics():
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 500).astype(np.float32)
    targets = rng.integers(0, 3, 500)
    mine = scores.calibration(probabilities, targets, bins=15)
    theirs = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(targets), num_classes=3, n_bins=15
    )
    assert mine.ece == pytest.approx(float(theirs), abs=1e-6)
    assert mine.count.sum() == 500


def test_a_model_that_is_as_sure_as_it_is_right_has_no_calibration_error():
    probabilities = np.tile([0.75, 0.25], (400, 1))
    targets = (np.arange(400) % 4 == 0).astype(int)
    assert scores.calibration(probabilities, targets).ece == pytest.approx(0.0)
