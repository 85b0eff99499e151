"""The primary test: seeds x samples crossed random effects, with a conservative floor.

Beside it the test for trained models as they are: what can be said with one seed or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

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
        df: Degrees of freedom of `se`, with a term for the samples.
        df_floor: Degrees of freedom of `se_floor`: at most those of the samples where the floor
            binds.
        df_equivalence: Likewise, but of slides by what unequal ones are worth
            (`CaseCovariance.df_unequal`): for the one-sided tests of equivalence.
        df_hillis: Degrees of freedom of the literature, without the samples' term.
        p_floor: Two-sided p with `se_floor` at `df_floor`: the one to print.
        p_hillis: Two-sided p of `t` at `df_hillis`.
        ci90: 90% interval with `se`, as `ci95`.
        ci90_floor: 90% interval with `se_floor` (for equivalence); ci95_floor likewise.

    Where seeds do not vary at all and share no sample variance, `se` is 0 and what rests on it is
    None; what rests on the floor is there.
    """

    estimate: float
    n_samples: int
    se_samples_only: float | None = None
    se: float | None = None
    se_floor: float | None = None
    df_floor: float | None = None
    df_equivalence: float | None = None
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
    accuracy it equals the quasi-F of a two-way random ANOVA. Three things are added here: the
    samples' term in the Satterthwaite degrees of freedom, the floor that keeps the standard error
    from falling below the one for fixed models, and the jackknife over slides
    (`covariance.case_covariance`).

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
        seeds=[(ms_seed / n_seeds, n_seeds - 1)],
        shared=max(cov_cases, 0.0),
        samples_only=cases.se_of_mean,
        zero=1e-12 * max(float(np.abs(array).max()), 1e-300),
    )
    return CrossedTest(**described, ms_seed=ms_seed, cov_cases=cov_cases, **numbers)


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
        ci95=interval(common["estimate"], se, float(special.stdtrit(df, 0.975))),
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
    seeds: Sequence[tuple[float, int]],
    shared: float,
    samples_only: float,
    zero: float,
) -> dict[str, Any]:
    """Returns a crossed test's numbers from its variance terms, or why there are none.

    Args:
        estimate: The estimate.
        cases: Covariance over samples or slides.
        seeds: Parts of the estimate's variance that are due to seeds, each with its degrees of
            freedom.
        shared: The part that is due to the samples, which seeds share.
        samples_only: Standard error over new samples alone, the floor.
        zero: Standard error that counts as none.
    """
    variance = sum(part for part, _ in seeds) + shared
    se = float(np.sqrt(variance))
    floor = max(se, samples_only)
    if floor <= zero:
        return {"refused": "zero variance: the arms differ by the same on every seed and sample"}
    seed_term = sum(part**2 / df for part, df in seeds)

    def of_floor(df_cases: float) -> float:
        """Returns the degrees of freedom of the floor, given those of the samples."""
        spread = seed_term + shared**2 / df_cases
        df = floor**4 / spread if spread > 0 else np.inf
        return float(min(df, df_cases) if samples_only > se else df)

    df_floor = of_floor(cases.df_cases)
    numbers = {
        "se": se,
        "se_floor": floor,
        "df_floor": df_floor,
        "df_equivalence": of_floor(cases.df_unequal),
        "p_floor": two_sided_p(estimate / floor, df_floor),
        **_intervals("_floor", estimate, floor, df_floor),
    }
    if se <= zero:
        return numbers
    df = variance**2 / (seed_term + shared**2 / cases.df_cases)
    df_hillis = variance**2 / seed_term if seed_term > zero**4 else np.inf
    return {
        **numbers,
        "df": float(df),
        "df_hillis": float(df_hillis),
        "t": estimate / se,
        "p": two_sided_p(estimate / se, df),
        "p_hillis": two_sided_p(estimate / se, df_hillis),
        **_intervals("", estimate, se, df),
    }


def _intervals(suffix: str, estimate: float, se: float, df: float) -> dict[str, Interval]:
    """Returns the 90% and the 95% interval, their names with a suffix."""
    return {
        f"ci{level}{suffix}": interval(estimate, se, float(special.stdtrit(df, 0.5 + level / 200)))
        for level in (90, 95)
    }


def two_sided_p(t: float, df: float) -> float:
    """Returns the two-sided p of a t statistic; infinite `df` gives the normal's.

    By scipy.special, as the intervals: scipy.stats gives the same bits in ten times the time.
    """
    return float(2 * special.stdtr(df, -abs(t)))
