"""AUC difference with whole slides resampled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import FloatArray, codes, pair_of_arms
from .bootstrap import N_RESAMPLES, Resampled, check_resamples, resample_clusters
from .delong import two_classes

_BLOCK_POSITIVES = 4_096


@dataclass(frozen=True, kw_only=True)
class AucDifference(Resampled):
    """AUC difference, for new slides; `auc_a` and `auc_b` are the arms', averaged over seeds."""

    auc_a: float
    auc_b: float


def auc_cluster_bootstrap(
    targets: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    clusters: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> AucDifference:
    """Resamples whole slides and recomputes both arms' AUCs on the same resample.

    An AUC sums, over pairs of slides, the (positive, negative) pairs ranked right: tabulated once,
    a resample is a quadratic form in how often each slide is drawn. Resamples without both classes
    are left out and counted in a warning.

    Args:
        targets: 0 or 1, [samples].
        scores_a: First arm's scores, [seeds, samples] or [samples], higher for class 1.
        scores_b: Second arm's scores, same shape and order.
        clusters: Slide or patient of each sample.
        n_resamples: Number of resamples.
        seed: Seed of the random generator.

    Raises:
        InputError: Shapes that do not fit, NaN, not two classes, or under 1,000 resamples.
    """
    check_resamples(n_resamples)
    one, two = pair_of_arms(scores_a, scores_b)
    positive = two_classes(targets, one.shape[1])
    groups, n_clusters = codes(clusters, one.shape[1], "clusters")
    right_a = np.mean([pairs_right(s, positive, groups, n_clusters) for s in one], axis=0)
    right_b = np.mean([pairs_right(s, positive, groups, n_clusters) for s in two], axis=0)
    pairs, right = int(positive.sum()) * int((~positive).sum()), right_a - right_b
    positives = np.bincount(groups[positive], minlength=n_clusters).astype(np.float64)
    negatives = np.bincount(groups[~positive], minlength=n_clusters).astype(np.float64)

    def differences(drawn: FloatArray) -> FloatArray:
        pairs = (drawn @ positives) * (drawn @ negatives)
        complete = pairs > 0
        ranked = ((drawn @ right) * drawn).sum(axis=1)
        return ranked[complete] / pairs[complete]

    return AucDifference(
        auc_a=float(right_a.sum() / pairs),
        auc_b=float(right_b.sum() / pairs),
        estimate=float((right_a.sum() - right_b.sum()) / pairs),
        **resample_clusters(differences, n_clusters, n_resamples, seed),
    )


def pairs_right(
    scores: FloatArray, positive: NDArray[np.bool_], groups: NDArray[np.int64], n_clusters: int
) -> FloatArray:
    """Counts (positive, negative) pairs with the positive scored higher; ties count half.

    Of each sample it is told its score, whether it is positive, and its cluster from 0 on. Counts
    are by cluster of the positive (rows) and of the negative (columns).
    """
    order = np.argsort(scores[~positive], kind="stable")
    negative_scores = scores[~positive][order]
    below = np.zeros((len(order) + 1, n_clusters), dtype=np.int32)
    below[np.arange(1, len(order) + 1), groups[~positive][order]] = 1
    np.cumsum(below, axis=0, out=below)
    by_group = np.argsort(groups[positive], kind="stable")
    positive_scores, positive_groups = scores[positive][by_group], groups[positive][by_group]
    left = np.searchsorted(negative_scores, positive_scores, side="left")
    right = np.searchsorted(negative_scores, positive_scores, side="right")
    counts = np.zeros((n_clusters, n_clusters))
    for start in range(0, len(left), _BLOCK_POSITIVES):
        part = slice(start, start + _BLOCK_POSITIVES)
        members, first = np.unique(positive_groups[part], return_index=True)
        doubled = below[left[part]] + below[right[part]]
        counts[members] += np.add.reduceat(doubled, first, axis=0, dtype=np.float64) / 2
    return counts
