"""The primary test: seeds x samples crossed random effects, with a conservative floor.

Beside it the test for trained models as they are: what can be said with one seed or two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .arrays import pair_of_arms, seeds_by_samples
from .covariance import CaseCovariance, case_covariance, mean_off_diagonal
from .results import Interval, OfSamples, TTest, interval
from .rules import cluster_warnings, seed_refusal, seed_warnings


@dataclass(frozen=True, kw_only=True)
class Crossed(OfSamples, TTest):
    """An estimate for new seeds and new samples, both taken as draws from a population.

    Print `estimate`, `ci95_floor` and `p_floor`.

    Attributes:
        se_samples_only: Standard error for these very models on new samples (or slides).
        se: Standard error over new seeds and new samples.
        se_floor: The larger of `se` and `se_samples_only`.
        df: Degrees of freedom, with a term for the samples.
        df_hillis: Degrees of freedom of the literature, without that term.
        p_floor: Two-sided p with `se_floor` at `df`: the one to print. In simulation `p` rejects up
            to 8% at a nominal 5% with three seeds; `p_floor` stays below, and rejects as little
            as 1.5% where seeds hardly vary or the test set is small.
        p_hillis: Two-sided p of `t` at `df_hillis`.
        ci90: 90% interval with `se`, as `ci95`.
        ci90_floor: 90% interval with `se_floor` (for equivalence); ci95_floor likewise.
    """

    estimate: float
    n_samples: int
    se_samples_only: float | None = None
    se: float | None = None
    se_floor: float | None = None
    df_hillis: float | None = None
    p_floor: float | None = None
    p_hillis: float | None = None
    ci90: Interval | None = None
    ci90_floor: Interval | None = None
    ci95_floor: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class CrossedTest(Crossed):
    """A mean over seeds and samples, where both arms of a difference share the seeds.

    Attributes:
        per_seed: The estimate of each seed.
        ms_seed: Variance of `per_seed` (ddof 1).
        cov_cases: Mean covariance, over samples, of the estimates of two seeds.
    """

    per_seed: tuple[float, ...]
    n_seeds: int
    ms_seed: float | None = None
    cov_cases: float | None = None

    @property
    def wins(self) -> str:
        """Seeds with a positive estimate, as "k/n"."""
        return f"{sum(value > 0 for value in self.per_seed)}/{self.n_seeds}"


@dataclass(frozen=True, kw_only=True)
class SamplesOnlyTest(OfSamples, TTest):
    """A seed-averaged difference whose only uncertainty is the test samples, or slides.

    Says nothing about other seeds; duplicating every seed leaves it unchanged. `df` is samples -
    classes, or clusters - 1.
    """

    estimate: float
    n_seeds: int
    n_samples: int
    se: float | None = None


def crossed_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> CrossedTest:
    """Tests first - second, for new seeds and new samples, where both arms share the seeds.

    Args:
        first: Correctness (0 or 1) of the first arm, [seeds, samples].
        second: Correctness of the second arm, same seeds and samples in the same order.
        classes: True class of each sample: given, the test is of balanced accuracy.
        clusters: Slide or patient of each sample: given, slides are what is drawn.

    Raises:
        InputError: Shapes that do not fit, NaN, or missing labels.
    """
    one, two = pair_of_arms(first, second)
    return crossed_mean(one - two, classes=classes, clusters=clusters)


def crossed_mean(
    values: ArrayLike, *, classes: ArrayLike | None = None, clusters: ArrayLike | None = None
) -> CrossedTest:
    """Estimates a mean over seeds and samples and tests it against 0.

    The crossed random-effects analysis of Obuchowski and Rockette (1995, Commun. Stat. Simul.
    24:285) and Hillis (2014, Stat. Med. 33:330, doi 10.1002/sim.5926) with seeds as readers; for
    accuracy it equals the quasi-F of a two-way random ANOVA. Two things are added here: the
    samples' term in the Satterthwaite degrees of freedom, and the floor that keeps the standard
    error from falling below the one for fixed models.

    `values` are per sample, such as differences or indicators, [seeds, samples]; other arguments
    and errors are those of `crossed_test`.
    """
    array = seeds_by_samples(values, "values")
    cases = case_covariance(array, classes, clusters)
    estimate, n_seeds = float(cases.theta.mean()), len(array)
    described = {
        **described_samples(cases, estimate, cases.se_of_mean, n_seeds),
        "per_seed": tuple(cases.theta.tolist()),
        "n_seeds": n_seeds,
    }
    refused = crossed_refusal(cases, n_seeds)
    if refused is not None:
        return CrossedTest(**described, refused=refused)
    ms_seed = float(cases.theta.var(ddof=1))
    cov_cases = mean_off_diagonal(cases.covariance)
    numbers = crossed_numbers(
        estimate,
        cases,
        seeds=ms_seed,
        shared=max(n_seeds * cov_cases, 0.0),
        count=n_seeds,
        df_seeds=n_seeds - 1,
        samples_only=cases.se_of_mean,
        zero=1e-12 * max(float(np.abs(array).max()), 1e-300),
    )
    terms = {} if "refused" in numbers else {"ms_seed": ms_seed, "cov_cases": cov_cases}
    return CrossedTest(**described, **terms, **numbers)


def samples_only_test(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> SamplesOnlyTest:
    """Tests first - second for these very models on new samples; arguments as of `crossed_test`."""
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


def crossed_refusal(cases: CaseCovariance, n_seeds: int) -> str | None:
    """Returns why seeds (the fewer of two arms) or samples allow no crossed test, or None."""
    return seed_refusal(n_seeds, "the crossed test") or cases.refused


def described_samples(
    cases: CaseCovariance, estimate: float, samples_only: float, n_seeds: int
) -> dict[str, Any]:
    """Returns the fields of a `Crossed` that need no inference over seeds."""
    return {
        "estimate": estimate,
        "n_samples": cases.n_samples,
        "n_clusters": cases.n_clusters,
        "se_samples_only": None if cases.refused else samples_only,
        "warnings": seed_warnings(n_seeds) + cluster_warnings(cases.n_clusters),
    }


def crossed_numbers(
    estimate: float,
    cases: CaseCovariance,
    *,
    seeds: float,
    shared: float,
    count: int,
    df_seeds: int,
    samples_only: float,
    zero: float,
) -> dict[str, Any]:
    """Returns a crossed test's numbers from its two variance terms, or why there are none.

    Args:
        estimate: The estimate.
        cases: Covariance over samples or slides.
        seeds: `count` times the variance of the estimate that is due to seeds.
        shared: `count` times the variance that is due to the samples which seeds share.
        count: What both terms are divided by.
        df_seeds: Degrees of freedom of `seeds`.
        samples_only: Standard error over new samples alone, the floor.
        zero: Standard error that counts as none.
    """
    variance = seeds + shared
    if variance <= zero**2:
        reason = "zero variance: the seeds' estimates are all equal and share no sample variance"
        return {"refused": reason}
    se = float(np.sqrt(variance / count))
    floor = max(se, samples_only)
    seed_term = seeds**2 / df_seeds
    df = variance**2 / (seed_term + shared**2 / cases.df_cases)
    df_hillis = variance**2 / seed_term if seeds > zero**2 else np.inf
    numbers: dict[str, Any] = {
        "se": se,
        "se_floor": floor,
        "df": float(df),
        "df_hillis": float(df_hillis),
        "t": estimate / se,
        "p": two_sided_p(estimate / se, df),
        "p_floor": two_sided_p(estimate / floor, df),
        "p_hillis": two_sided_p(estimate / se, df_hillis),
    }
    for level in (90, 95):
        critical = float(stats.t.ppf(0.5 + level / 200, df))
        numbers[f"ci{level}"] = interval(estimate, se, critical)
        numbers[f"ci{level}_floor"] = interval(estimate, floor, critical)
    return numbers


def two_sided_p(t: float, df: float) -> float:
    """Returns the two-sided p of a t statistic; infinite `df` gives the normal's."""
    return float(2 * stats.t.sf(abs(t), df))
