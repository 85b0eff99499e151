"""The crossed test when the two arms do not share their seeds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .arrays import pair_of_arms
from .covariance import CaseCovariance, case_covariance
from .crossed import Interval, two_sided_p
from .results import OPTIMISTIC, Result, interval
from .rules import cluster_warnings, seed_refusal, seed_warnings


@dataclass(frozen=True, kw_only=True)
class UnpairedCrossedTest(Result):
    """A difference of two arms with seeds of their own, both drawn like the samples.

    Attributes:
        estimate: Mean of the first arm - mean of the second.
        n_seeds: Seeds of the first and of the second arm.
        n_samples: Number of test samples.
        n_clusters: Number of slides or patients; None if their ids were not given.
        se_samples_only: Standard error for these very models on new samples (or slides).
        ms_r: Variance over seeds within an arm, pooled over the arms.
        cov2: Mean sample covariance of two seeds of one arm, averaged over the arms.
        cov3: Mean sample covariance of a seed of one arm and a seed of the other.
        se: Standard error over new seeds and new samples.
        se_floor: The larger of `se` and `se_samples_only`.
        df: Degrees of freedom, with a term for the samples.
        df_hillis: Degrees of freedom of the literature, without that term.
        t: estimate / se.
        p: Two-sided p of `t` at `df`.
        p_floor: Two-sided p with `se_floor` at `df`: the one to print.
        p_hillis: Two-sided p of `t` at `df_hillis`.
        ci95: 95% interval with `se` at `df`.
        ci95_floor: 95% interval with `se_floor` at `df`: the one to print.
    """

    estimate: float
    n_seeds: tuple[int, int]
    n_samples: int
    n_clusters: int | None
    se_samples_only: float | None = None
    ms_r: float | None = None
    cov2: float | None = None
    cov3: float | None = None
    se: float | None = None
    se_floor: float | None = None
    df: float | None = None
    df_hillis: float | None = None
    t: float | None = None
    p: float | None = None
    p_floor: float | None = None
    p_hillis: float | None = None
    ci95: Interval | None = None
    ci95_floor: Interval | None = None

    @property
    def mark(self) -> str | None:
        """The mark to print beside the interval, or None."""
        return OPTIMISTIC if self.n_clusters is None else None


def crossed_test_unpaired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> UnpairedCrossedTest:
    """Tests first - second for new seeds and new samples; arms may differ in number of seeds.

    Readers nested in arms, as in Hillis (2014, Stat. Med. 33:330, doi 10.1002/sim.5926) and the R
    package MRMCaov; with unequal numbers of seeds the seed variances are pooled by their degrees
    of freedom. The samples' term of `df` and the floor are additions, as in `crossed_mean`.

    Args:
        first: Correctness (0 or 1) of the first arm, [seeds, samples].
        second: Correctness of the second arm, [its seeds, same samples].
        classes: True class of each sample: given, the test is of balanced accuracy.
        clusters: Slide or patient of each sample: given, slides are what is drawn.

    Raises:
        InputError: Shapes that do not fit, NaN, or missing labels.
    """
    one, two = pair_of_arms(first, second, paired_seeds=False)
    cases = case_covariance(np.vstack([one, two]), classes, clusters)
    split, fewest = len(one), min(len(one), len(two))
    theta = cases.theta
    estimate = float(theta[:split].mean() - theta[split:].mean())
    weights = np.concatenate([np.full(split, 1 / split), np.full(len(two), -1 / len(two))])
    samples_only = float(np.sqrt(max(weights @ cases.covariance @ weights, 0.0)))
    common: dict[str, Any] = {
        "estimate": estimate,
        "n_seeds": (len(one), len(two)),
        "n_samples": cases.n_samples,
        "n_clusters": cases.n_clusters,
        "se_samples_only": None if cases.refused else samples_only,
        "warnings": seed_warnings(fewest) + cluster_warnings(cases.n_clusters),
    }
    refused = seed_refusal(fewest, "the crossed test") or cases.refused
    if refused is None:
        numbers, refused = _inference(cases, split, estimate, samples_only)
        if refused is None:
            return UnpairedCrossedTest(**common, **numbers)
    return UnpairedCrossedTest(**common, refused=refused)


def _inference(
    cases: CaseCovariance, split: int, estimate: float, samples_only: float
) -> tuple[dict, str | None]:
    """Returns the test's numbers, or the reason why there are none."""
    theta, covariance = cases.theta, cases.covariance
    arms = (slice(None, split), slice(split, None))
    sizes = (split, len(theta) - split)
    df_seeds = sum(sizes) - 2
    ms_r = sum((n - 1) * theta[arm].var(ddof=1) for n, arm in zip(sizes, arms, strict=True))
    ms_r = float(ms_r / df_seeds)
    within = [covariance[arm, arm] for arm in arms]
    cov2 = float(np.mean([(c.sum() - np.trace(c)) / (len(c) * (len(c) - 1)) for c in within]))
    cov3 = float(covariance[arms[0], arms[1]].mean())
    seed_variance = ms_r * (1 / sizes[0] + 1 / sizes[1])
    shared = max(2 * (cov2 - cov3), 0.0)
    variance = seed_variance + shared
    if variance <= 1e-24:
        return {}, "zero variance: the seeds' estimates are all equal and share no sample variance"
    se = float(np.sqrt(variance))
    floor = max(se, samples_only)
    seed_term = seed_variance**2 / df_seeds
    df = variance**2 / (seed_term + shared**2 / cases.df_cases)
    df_hillis = variance**2 / seed_term if seed_variance > 1e-24 else np.inf
    critical = float(stats.t.ppf(0.975, df))
    return {
        "ms_r": ms_r,
        "cov2": cov2,
        "cov3": cov3,
        "se": se,
        "se_floor": floor,
        "df": float(df),
        "df_hillis": float(df_hillis),
        "t": estimate / se,
        "p": two_sided_p(estimate / se, df),
        "p_floor": two_sided_p(estimate / floor, df),
        "p_hillis": two_sided_p(estimate / se, df_hillis),
        "ci95": interval(estimate, se, critical),
        "ci95_floor": interval(estimate, floor, critical),
    }, None
