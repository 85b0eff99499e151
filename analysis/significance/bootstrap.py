"""Paired bootstrap of accuracy differences: within classes, or of whole slides."""

from collections.abc import Iterator
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
class BootstrapDifference(OfSamples):
    """Bootstrap of a seed-averaged difference: these very models, new samples (or slides).

    Attributes:
        estimate: Difference first - second.
        n_resamples: Number of resamples that entered the interval.
        percentile_ci95: 95% percentile interval.
        bootstrap_se: Standard deviation of the resampled differences.
        exact_plugin_se: What `bootstrap_se` tends to with more resamples; None for slides.
        analytic_se_ddof1: The same with ddof 1 variances; None for slides or a class of one.
    """

    estimate: float
    n_resamples: int
    percentile_ci95: Interval | None = None
    bootstrap_se: float | None = None
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

    Args:
        first: Correctness of the first arm, [seeds, samples] or [samples]; seeds are averaged.
        second: Correctness of the second arm, same shape and order.
        classes: True class of each sample.
        metric: "balanced_accuracy" weighs classes equally, "accuracy" by their size.
        n_resamples: Number of resamples.
        seed: Seed of the random generator.

    Raises:
        InputError: Shapes that do not fit, NaN, missing labels, an unknown metric, or fewer than
            1,000 resamples.
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
        **spread_of(draws),
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
    lack a class are left out and counted in a warning.

    Args:
        first: Correctness of the first arm, [seeds, samples] or [samples]; seeds are averaged.
        second: Correctness of the second arm, same shape and order.
        clusters: Slide or patient of each sample.
        classes: True class of each sample: given, the difference is of balanced accuracy.
        n_resamples: Number of resamples.
        seed: Seed of the random generator.

    Raises:
        InputError: Shapes that do not fit, NaN, missing labels, or fewer than 1,000 resamples.
    """
    check_resamples(n_resamples)
    one, two = pair_of_arms(first, second)
    difference = (one - two).mean(axis=0)
    groups, n_clusters = codes(clusters, len(difference), "clusters")
    labels = np.zeros_like(groups) if classes is None else codes(classes, len(groups), "classes")[0]
    sums, sizes = _by_cluster_and_class(difference, groups, labels, n_clusters)
    estimate = float((sums.sum(axis=0) / sizes.sum(axis=0)).mean())
    common: dict[str, Any] = {"estimate": estimate, "n_clusters": n_clusters}
    refused = cluster_refusal(n_clusters)
    if refused is not None:
        return BootstrapDifference(**common, n_resamples=0, refused=refused)
    rng, blocks = np.random.default_rng(seed), []
    for drawn in cluster_draws(rng, n_clusters, n_resamples):
        totals = drawn @ sizes
        complete = (totals > 0).all(axis=1)
        blocks.append(((drawn[complete] @ sums) / totals[complete]).mean(axis=1))
    draws = np.concatenate(blocks)
    warnings = cluster_warnings(n_clusters) + incomplete_warnings(n_resamples, len(draws))
    return BootstrapDifference(**common, **spread_of(draws), warnings=warnings)


def cluster_draws(
    rng: np.random.Generator, n_clusters: int, n_resamples: int
) -> Iterator[FloatArray]:
    """Yields blocks [resamples, clusters] of how often each cluster is drawn with replacement."""
    block = max(1, _BLOCK_ENTRIES // n_clusters)
    share = np.full(n_clusters, 1 / n_clusters)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        yield rng.multinomial(n_clusters, share, size=size).astype(np.float64)


def spread_of(draws: FloatArray) -> dict[str, Any]:
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


def incomplete_warnings(n_resamples: int, n_complete: int) -> tuple[str, ...]:
    """Returns the warning that some resamples lacked a class, if one is due."""
    lacking = n_resamples - n_complete
    return (f"{lacking} resamples lacked a class",) if lacking else ()


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
