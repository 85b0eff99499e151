"""Paired bootstrap of accuracy differences: within classes, or of whole slides."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clipit_eva.errors import InputError

from .arrays import FloatArray, codes, pair_of_arms
from .results import Interval, OfSamples
from .rules import cluster_refusal, cluster_warnings

Metric = Literal["accuracy", "balanced_accuracy"]

N_RESAMPLES = 9_999
_BLOCK_ENTRIES = 4_000_000
"""Most entries of a block of draws: bounds memory with many clusters."""


@dataclass(frozen=True, kw_only=True)
class Resampled(OfSamples):
    """A seed-averaged difference of these very models, on resamples of samples or slides.

    Attributes:
        n_resamples: Number of resamples that entered the interval.
        percentile_ci95: 95% percentile interval.
        bootstrap_se: Standard deviation of the resampled differences.
    """

    estimate: float
    n_resamples: int
    percentile_ci95: Interval | None = None
    bootstrap_se: float | None = None


@dataclass(frozen=True, kw_only=True)
class BootstrapDifference(Resampled):
    """Bootstrap of a difference of accuracy or balanced accuracy.

    Attributes:
        exact_plugin_se: What `bootstrap_se` tends to with more resamples; None for slides.
        analytic_se_ddof1: The same with ddof 1 variances; None for slides or a class of one.
    """

    exact_plugin_se: float | None = None
    analytic_se_ddof1: float | None = None


def stratified_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    classes: ArrayLike,
    *,
    metric: Metric = "balanced_accuracy",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> BootstrapDifference:
    """Resamples samples within class, both arms on the same resample, class sizes fixed.

    A class's resampled mean is a multinomial over the few distinct differences in that class
    (Efron and Tibshirani 1993, chapter 6: the bootstrap draws from the empirical distribution), so
    that no index matrix is needed.

    The arms' seeds are averaged. The metric "balanced_accuracy" weighs classes equally, "accuracy"
    by their size; `seed` is the random generator's.

    Raises:
        InputError: As `crossed_test`; an unknown metric, or fewer than 1,000 resamples.
    """
    check_resamples(n_resamples)
    one, two = pair_of_arms(first, second)
    difference = np.round((one - two).mean(axis=0), 12)
    labels, n_classes = codes(classes, len(difference), "classes")
    weights = _class_weights(labels, n_classes, metric)
    by_class = [difference[labels == label] for label in range(n_classes)]
    estimate = float(sum(w * d.mean() for w, d in zip(weights, by_class, strict=True)))
    plugin = float(sum(w**2 * d.var() / len(d) for w, d in zip(weights, by_class, strict=True)))
    if plugin <= 1e-24:
        return BootstrapDifference(
            estimate=estimate,
            n_resamples=n_resamples,
            refused="zero variance: within classes every sample has the same difference",
        )
    draws = _draws_within_class(np.random.default_rng(seed), by_class, weights, n_resamples)
    return BootstrapDifference(
        estimate=estimate,
        **_spread(draws),
        exact_plugin_se=float(np.sqrt(plugin)),
        analytic_se_ddof1=_analytic_se(by_class, weights),
    )


def cluster_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> BootstrapDifference:
    """Resamples whole slides (or patients), both arms on the same resample.

    Only the highest level is resampled (Davison and Hinkley 1997, section 3.8). Resamples that
    lack a class are left out and counted in a warning. The arms' seeds are averaged; `seed` is the
    random generator's.

    Raises:
        InputError: As `crossed_test`; fewer than 1,000 resamples.
    """
    check_resamples(n_resamples)
    one, two = pair_of_arms(first, second)
    difference = (one - two).mean(axis=0)
    groups, n_clusters = codes(clusters, len(difference), "clusters")
    labels = np.zeros_like(groups) if classes is None else codes(classes, len(groups), "classes")[0]
    sums, sizes = _by_cluster_and_class(difference, groups, labels, n_clusters)
    estimate = float((sums.sum(axis=0) / sizes.sum(axis=0)).mean())

    def differences(drawn: FloatArray) -> FloatArray:
        totals = drawn @ sizes
        complete = (totals > 0).all(axis=1)
        return ((drawn[complete] @ sums) / totals[complete]).mean(axis=1)

    fields = resample_clusters(differences, n_clusters, n_resamples, seed)
    return BootstrapDifference(estimate=estimate, **fields)


def resample_clusters(
    statistic: Callable[[FloatArray], FloatArray], n_clusters: int, n_resamples: int, seed: int
) -> dict[str, Any]:
    """Returns a `Resampled`'s fields but the estimate, from whole clusters drawn with replacement.

    `statistic` takes how often each cluster is drawn, [resamples, clusters], in blocks, and returns
    the difference of each resample that has all classes.
    """
    refused = cluster_refusal(n_clusters)
    if refused is not None:
        return {"n_clusters": n_clusters, "n_resamples": 0, "refused": refused}
    rng, block = np.random.default_rng(seed), max(1, _BLOCK_ENTRIES // n_clusters)
    share = np.full(n_clusters, 1 / n_clusters)
    sizes = [min(block, n_resamples - start) for start in range(0, n_resamples, block)]
    blocks = (rng.multinomial(n_clusters, share, size).astype(np.float64) for size in sizes)
    draws = np.concatenate([statistic(drawn) for drawn in blocks])
    warnings, lacking = cluster_warnings(n_clusters), n_resamples - len(draws)
    if lacking:
        warnings += (f"{lacking} resamples lacked a class",)
    return {"n_clusters": n_clusters, **_spread(draws), "warnings": warnings}


def _spread(draws: FloatArray) -> dict[str, Any]:
    """Returns a bootstrap result's fields from its draws: 95% percentile interval and SE."""
    if len(draws) < 2 or np.ptp(draws) <= 1e-12:
        reason = "zero variance: resampling does not change the difference"
        return {"n_resamples": len(draws), "refused": reason}
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "n_resamples": len(draws),
        "percentile_ci95": (float(low), float(high)),
        "bootstrap_se": float(draws.std(ddof=1)),
    }


def check_resamples(n_resamples: int) -> None:
    """Refuses numbers of resamples too small for a 95% interval.

    Raises:
        InputError: Fewer than 1,000.
    """
    if n_resamples < 1_000:
        raise InputError(
            f"n_resamples is {n_resamples}: a 95% interval needs at least 1000; give more"
        )


def _draws_within_class(
    rng: np.random.Generator, by_class: list[FloatArray], weights: FloatArray, n_resamples: int
) -> FloatArray:
    """Returns the metric's difference in each resample, [n_resamples]."""
    draws = np.zeros(n_resamples)
    for weight, difference in zip(weights, by_class, strict=True):
        values, counts = np.unique(difference, return_counts=True)
        n = len(difference)
        draws += weight / n * (rng.multinomial(n, counts / n, size=n_resamples) @ values)
    return draws


def _analytic_se(by_class: list[FloatArray], weights: FloatArray) -> float | None:
    """Returns the standard error with ddof 1 variances; None with a class of one sample."""
    if min(len(difference) for difference in by_class) < 2:
        return None
    terms = zip(weights, by_class, strict=True)
    return float(np.sqrt(sum(w**2 * d.var(ddof=1) / len(d) for w, d in terms)))


def _class_weights(labels: NDArray[np.int64], n_classes: int, metric: str) -> FloatArray:
    """Returns each class's weight in the metric; raises InputError for another metric."""
    if metric == "balanced_accuracy":
        return np.full(n_classes, 1 / n_classes)
    if metric == "accuracy":
        return np.bincount(labels, minlength=n_classes) / len(labels)
    raise InputError(f'metric is {metric!r}: give "accuracy" or "balanced_accuracy"')


def _by_cluster_and_class(
    values: FloatArray, groups: NDArray[np.int64], labels: NDArray[np.int64], n_clusters: int
) -> tuple[FloatArray, FloatArray]:
    """Returns sums of values and numbers of samples, both [clusters, classes]."""
    n_classes = int(labels.max()) + 1
    strata = groups * n_classes + labels
    shape, size = (n_clusters, n_classes), n_clusters * n_classes
    sums = np.bincount(strata, weights=values, minlength=size).astype(np.float64)
    sizes = np.bincount(strata, minlength=size).astype(np.float64)
    return sums.reshape(shape), sizes.reshape(shape)
