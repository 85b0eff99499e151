"""DeLong's test of two AUCs on the same independent samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from clipit_eva.errors import InputError

from .arrays import FloatArray, pair_of_vectors
from .results import Interval, OfSamples, interval


@dataclass(frozen=True, kw_only=True)
class DeLong(OfSamples):
    """Two correlated AUCs of one seed, samples taken as independent.

    Anticonservative for patches of few slides: use `auc_cluster_bootstrap` where slides are known.

    Attributes:
        auc_a: AUC of the first model; auc_b: of the second.
        var_a: Variance of auc_a; var_b: of auc_b; cov: their covariance.
        auc_a_ci95: 95% interval of auc_a, within [0, 1]; auc_b_ci95: of auc_b.
        diff_ci95: 95% interval of the difference.
    """

    auc_a: float
    auc_b: float
    estimate: float
    var_a: float
    var_b: float
    cov: float
    auc_a_ci95: Interval
    auc_b_ci95: Interval
    z: float | None = None
    p: float | None = None
    diff_ci95: Interval | None = None


def delong_test(targets: ArrayLike, scores_a: ArrayLike, scores_b: ArrayLike) -> DeLong:
    """Tests the difference of two AUCs.

    DeLong, DeLong and Clarke-Pearson (1988, Biometrics 44:837), with the mid-rank form of Sun and
    Xu (2014, IEEE Signal Process. Lett. 21:1389), which is O(n log n) and exact with ties.

    Args:
        targets: 0 or 1, [samples].
        scores_a: First model's scores, higher for class 1.
        scores_b: Second model's scores, same samples.

    Raises:
        InputError: Vectors that do not fit, NaN, or other than two classes.
    """
    scores = np.stack(pair_of_vectors(scores_a, scores_b))
    positive = two_classes(targets, scores.shape[1])
    auc, covariance = _auc_covariance(scores, positive)
    common: dict[str, Any] = {
        "auc_a": float(auc[0]),
        "auc_b": float(auc[1]),
        "estimate": float(auc[0] - auc[1]),
        "var_a": float(covariance[0, 0]),
        "var_b": float(covariance[1, 1]),
        "cov": float(covariance[0, 1]),
        "auc_a_ci95": _unit_interval(auc[0], covariance[0, 0]),
        "auc_b_ci95": _unit_interval(auc[1], covariance[1, 1]),
    }
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if variance <= 1e-18:
        return DeLong(**common, refused="zero variance: both models rank the samples alike")
    se = float(np.sqrt(variance))
    z = common["estimate"] / se
    return DeLong(
        **common,
        z=z,
        p=float(2 * stats.norm.sf(abs(z))),
        diff_ci95=interval(common["estimate"], se, float(stats.norm.ppf(0.975))),
    )


def two_classes(targets: ArrayLike, n_samples: int) -> NDArray[np.bool_]:
    """Returns which samples are positive.

    Raises:
        InputError: Not one 0 or 1 per sample, or fewer than two samples of a class.
    """
    array = np.asarray(targets)
    if array.shape != (n_samples,) or not np.isin(array, (0, 1)).all():
        raise InputError(f"targets must be 0 or 1 for each of the {n_samples} samples")
    positive = array == 1
    if min(positive.sum(), (~positive).sum()) < 2:
        raise InputError("an AUC needs at least two samples of each class in targets")
    return positive


def _auc_covariance(
    scores: FloatArray, positive: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Returns AUCs of rows of scores [models, samples] and their DeLong covariance."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    ranks = stats.rankdata(scores, axis=1)
    within_positive = stats.rankdata(scores[:, positive], axis=1)
    within_negative = stats.rankdata(scores[:, ~positive], axis=1)
    # Share of negatives below each positive, and of positives above each negative; ties half.
    v10 = (ranks[:, positive] - within_positive) / n_negative
    v01 = 1 - (ranks[:, ~positive] - within_negative) / n_positive
    covariance = np.cov(v10) / n_positive + np.cov(v01) / n_negative
    return v10.mean(axis=1), covariance


def _unit_interval(auc: float, variance: float) -> Interval:
    """Returns the 95% interval of an AUC, cut to [0, 1]."""
    low, high = interval(auc, float(np.sqrt(max(variance, 0.0))), float(stats.norm.ppf(0.975)))
    return (max(low, 0.0), min(high, 1.0))
