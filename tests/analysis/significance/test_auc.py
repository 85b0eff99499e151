import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from clipit_eva.analysis.significance import auc_cluster_bootstrap, delong_test
from clipit_eva.errors import InputError


def cohort(seeds=2, n=400, n_slides=25):
    rng = np.random.default_rng(0)
    y, slides = rng.integers(0, 2, n), rng.integers(0, n_slides, n)
    a, b = (
        np.round(
            y * strength + rng.normal(0, 1, (seeds, n)) + rng.normal(0, 0.5, n_slides)[slides], 1
        )
        for strength in (1.5, 1.0)
    )
    return y, a, b, slides


def test_aucs_are_sklearns_averaged_over_seeds():
    y, a, b, slides = cohort()
    result = auc_cluster_bootstrap(y, a, b, slides)
    assert result.auc_a == pytest.approx(np.mean([roc_auc_score(y, s) for s in a]))
    assert result.auc_b == pytest.approx(np.mean([roc_auc_score(y, s) for s in b]))
    assert result.estimate == pytest.approx(result.auc_a - result.auc_b)


def test_resamples_equal_recomputed_aucs():
    y, a, b, slides = cohort(seeds=1)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(slides == g) for g in range(25)]
    draws = []
    for _ in range(2_000):
        picked = np.concatenate([members[g] for g in rng.integers(0, 25, 25)])
        right = y[picked] == 1
        aucs = [mannwhitneyu(s[0, picked][right], s[0, picked][~right]).statistic for s in (a, b)]
        draws.append((aucs[0] - aucs[1]) / (right.sum() * (~right).sum()))
    result = auc_cluster_bootstrap(y, a, b, slides, n_resamples=20_000)
    assert result.bootstrap_se == pytest.approx(np.std(draws), rel=0.08)
    assert result.percentile_ci95 == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.012)


def test_slides_of_one_patch_agree_with_delong():
    y, a, b, _ = cohort(seeds=1, n=300)
    result = auc_cluster_bootstrap(y, a, b, np.arange(300))
    reference = delong_test(y, a[0], b[0])
    se = np.sqrt(reference.var_a + reference.var_b - 2 * reference.cov)
    assert result.bootstrap_se == pytest.approx(se, rel=0.05)


def test_swapping_arms_flips_the_interval():
    y, a, b, slides = cohort()
    low, high = auc_cluster_bootstrap(y, a, b, slides, seed=2).percentile_ci95
    mirrored = auc_cluster_bootstrap(y, b, a, slides, seed=2).percentile_ci95
    assert mirrored == pytest.approx((-high, -low))


def test_refusals_and_warnings():
    y, a, b, slides = cohort()
    few = auc_cluster_bootstrap(y, a, b, slides % 4)
    assert (few.percentile_ci95, few.refused[:10]) == (None, "4 clusters")
    assert few.auc_a == pytest.approx(np.mean([roc_auc_score(y, s) for s in a]))
    assert "only 12 clusters" in auc_cluster_bootstrap(y, a, b, slides % 12).warnings[0]
    assert "zero variance" in auc_cluster_bootstrap(y, a, a, slides).refused
    # All positives lie on two slides, so that some resamples have none.
    result = auc_cluster_bootstrap((slides < 2) * 1, a, b, slides)
    assert 0 < result.n_resamples < 9_999
    assert "resamples lacked a class" in result.warnings[0]
    with pytest.raises(InputError, match="NaN or infinite"):
        auc_cluster_bootstrap(y, np.where(a > 2, np.inf, a), b, slides)
