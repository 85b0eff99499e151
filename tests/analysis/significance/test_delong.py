import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from clipit_eva.analysis.significance import delong_test
from clipit_eva.errors import InputError

KNOWN = "10_delong.json"


def test_values(known, check):
    inputs, expected, tolerance = known["inputs"], known["expected"], known["tolerance"]
    result = delong_test(inputs["y"], inputs["score_a"], inputs["score_b"])
    raw = tuple(key for key in expected if key.endswith("raw"))
    for key in set(expected) - set(raw):
        exact = tolerance["auc"] if key in ("auc_a", "auc_b") else tolerance["z"]
        check({key: expected[key]}, result, exact)
    # Variances are small: ask for the relative precision that z has.
    assert (result.var_a, result.cov) == pytest.approx(
        (expected["var_a"], expected["cov"]), rel=1e-6
    )
    for key in raw:
        assert result.z == pytest.approx(-expected[key][0])
        assert np.sign(result.z) == np.sign(result.auc_a - result.auc_b)


def test_auc_is_sklearns_with_ties():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 300), rng.integers(0, 7, (2, 300))
    result = delong_test(y, *scores)
    assert (result.auc_a, result.auc_b) == pytest.approx([roc_auc_score(y, s) for s in scores])
    swapped = delong_test(y, *scores[::-1])
    assert (swapped.z, swapped.p) == pytest.approx((-result.z, result.p))
    order = rng.permutation(300)
    assert delong_test(y[order], *scores[:, order]).p == pytest.approx(result.p)


def test_variance_is_the_one_of_the_definition():
    rng = np.random.default_rng(1)
    y, scores = rng.integers(0, 2, 80), rng.integers(0, 9, 80)
    positive, negative = scores[y == 1], scores[y == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    assert delong_test(y, scores, -scores).var_a == pytest.approx(expected)


def test_intervals_of_an_auc_end_at_one():
    y = np.repeat([0, 1], 8)
    scores = np.arange(16.0)
    result = delong_test(y, np.where(scores == 7, 9.5, scores), -scores)
    assert result.auc_a < 1
    assert result.auc_a_ci95[1] == 1.0
    assert result.auc_b_ci95 == (0.0, 0.0)


def test_refusals():
    y, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.5, 0.9])
    same = delong_test(y, scores, scores)
    assert (same.p, same.diff_ci95) == (None, None)
    assert "zero variance" in same.refused
    assert same.mark == "patch-level, optimistic"
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="NaN or infinite"):
            delong_test(y, np.where(scores > 0.8, bad, scores), scores)
    with pytest.raises(InputError, match="0 or 1"):
        delong_test(y + 1, scores, scores)
    with pytest.raises(InputError, match="each class"):
        delong_test(y * 0, scores, scores)
