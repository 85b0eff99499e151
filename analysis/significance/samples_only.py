"""Trained models as they are, new samples: what can be said with one seed or two."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike
from scipy import stats

from .arrays import pair_of_arms
from .covariance import case_covariance
from .crossed import two_sided_p
from .results import Interval, OfSamples, interval
from .rules import cluster_warnings


@dataclass(frozen=True, kw_only=True)
class SamplesOnlyTest(OfSamples):
    """A seed-averaged difference whose only uncertainty is the test samples.

    Says nothing about other seeds; duplicating every seed leaves it unchanged.

    Attributes:
        estimate: Difference first - second, averaged over the seeds given.
        n_seeds: Number of trained models averaged.
        n_samples: Number of test samples.
        se: Standard error over new samples, or new slides.
        df: samples - classes, or clusters - 1.
        t: estimate / se.
        p: Two-sided p.
        ci95: 95% interval.
    """

    estimate: float
    n_seeds: int
    n_samples: int
    se: float | None = None
    df: int | None = None
    t: float | None = None
    p: float | None = None
    ci95: Interval | None = None


def samples_only_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> SamplesOnlyTest:
    """Tests first - second for these very models on new samples.

    Args:
        first: Correctness of the first arm, [seeds, samples] or [samples].
        second: Correctness of the second arm, same shape and order.
        classes: True class of each sample: given, the test is of balanced accuracy.
        clusters: Slide or patient of each sample: given, slides are what is drawn.

    Raises:
        InputError: Shapes that do not fit, NaN, or missing labels.
    """
    one, two = pair_of_arms(first, second)
    cases = case_covariance((one - two).mean(axis=0, keepdims=True), classes, clusters)
    common: dict[str, Any] = {
        "estimate": float(cases.theta[0]),
        "n_seeds": len(one),
        "n_samples": cases.n_samples,
        "n_clusters": cases.n_clusters,
        "warnings": cluster_warnings(cases.n_clusters),
    }
    se, df = cases.se_of_mean, cases.df_cases
    refused = cases.refused
    if refused is None and se <= 1e-12:
        refused = "zero variance: the arms differ by the same amount on every sample"
    if refused is not None:
        return SamplesOnlyTest(**common, refused=refused)
    t = common["estimate"] / se
    return SamplesOnlyTest(
        **common,
        se=se,
        df=df,
        t=t,
        p=two_sided_p(t, df),
        ci95=interval(common["estimate"], se, float(stats.t.ppf(0.975, df))),
    )
