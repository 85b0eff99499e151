"""When "similar" may be written, and the verdict of an ablation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from clipit_eva.errors import InputError

from .arrays import pair_of_vectors
from .crossed import Crossed
from .paired_t import zero_variance
from .results import Interval, Result, interval
from .rules import seed_refusal, seed_warnings

Label = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Equivalence(Result):
    """Two one-sided tests (TOST) at 5% each, against a margin fixed before looking.

    Attributes:
        p: The larger of the two one-sided p-values.
        p_lower: One-sided p against a difference of -margin or less; p_upper: of +margin or more.
        equivalent: Whether p is below 5%; None when refused.
        ci_inside_margin: Whether `ci90` lies within -+margin (the same question).
    """

    margin: float
    estimate: float
    p: float | None = None
    p_lower: float | None = None
    p_upper: float | None = None
    ci90: Interval | None = None
    equivalent: bool | None = None
    ci_inside_margin: bool | None = None


@dataclass(frozen=True)
class Verdict:
    """What may be written about a difference, first arm against second, and the ground for it."""

    label: Label
    reason: str


def tost_paired(first: ArrayLike, second: ArrayLike, margin: float) -> Equivalence:
    """Tests equivalence of two arms over seeds, on this test set.

    `margin` is the largest difference that counts as none, in the scores' units.

    Raises:
        InputError: Vectors that do not fit, NaN, or a margin not above 0.
    """
    _check(margin)
    one, two = pair_of_vectors(first, second)
    d = one - two
    scale = float(max(np.abs(one).max(), np.abs(two).max()))
    refused = seed_refusal(len(d), "the equivalence test") or zero_variance(d, scale)
    warnings = seed_warnings(len(d))
    if refused is not None:
        return Equivalence(
            margin=margin, estimate=float(d.mean()), refused=refused, warnings=warnings
        )
    _, (_, p_lower, _), (_, p_upper, _) = ttost_paired(one, two, -margin, margin)
    ci90 = DescrStatsW(d).tconfint_mean(alpha=0.1)
    return _equivalence(margin, float(d.mean()), (float(p_lower), float(p_upper)), ci90, warnings)


def tost_crossed(test: Crossed, margin: float) -> Equivalence:
    """Tests equivalence for new seeds and new samples, from a crossed test with its floor.

    Degrees of freedom are `df_equivalence`: with those of `ci90_floor` a difference at the margin
    is called equivalent in more than 6% of simulated studies of unequal slides.

    `margin` is the largest difference that counts as none, as a fraction (0.005 is half a point).

    Raises:
        InputError: A margin not above 0.
    """
    _check(margin)
    se, df = test.se_floor, test.df_equivalence
    if se is None or df is None:
        return Equivalence(
            margin=margin, estimate=test.estimate, refused=test.refused, warnings=test.warnings
        )
    p_lower = float(special.stdtr(df, -(test.estimate + margin) / se))
    p_upper = float(special.stdtr(df, (test.estimate - margin) / se))
    ci90 = interval(test.estimate, se, float(special.stdtrit(df, 0.95)))
    return _equivalence(margin, test.estimate, (p_lower, p_upper), ci90, test.warnings)


def verdict(test: Crossed, margin: float, p_adjusted: float | None) -> Verdict:
    """Returns what may be written about first - second.

    Equivalence is asked first: a difference within the margin is none that matters, however sure.

    `margin` is as for `tost_crossed`; `p_adjusted` is the test's p in its family, if it had one.

    Raises:
        InputError: A margin not above 0.
    """
    equivalence = tost_crossed(test, margin)
    if equivalence.refused is not None or p_adjusted is None:
        return Verdict("inconclusive", equivalence.refused or "no p-value in its family")
    if equivalence.equivalent:
        return Verdict("equivalent", f"90% interval within -+{margin:g}")
    if p_adjusted < 0.05:
        label: Label = "better" if test.estimate > 0 else "worse"
        return Verdict(label, f"adjusted p {p_adjusted:.2g}")
    return Verdict("inconclusive", "neither different nor within the margin")


def planned_ci90(
    difference: float, discordance: float, n_samples: int, design_effect: float = 1.0
) -> Interval:
    """Returns the 90% interval to expect of an accuracy difference of two fixed models.

    The variance of a paired difference of proportions, (discordance - difference^2) / n, times
    the design effect of the slides: shows before training which margins a test set can serve.

    Args:
        difference: Expected difference of accuracies, as a fraction.
        discordance: Expected fraction of samples that exactly one of the models has right.
        n_samples: Number of test samples.
        design_effect: Variance inflation by slides, at least 1 (1 for independent samples).

    Raises:
        InputError: Values outside these ranges.
    """
    if not abs(difference) <= discordance <= 1 or n_samples < 1 or design_effect <= 0:
        raise InputError(
            "give |difference| <= discordance <= 1, n_samples of at least 1, design_effect above 0"
        )
    se = float(np.sqrt((discordance - difference**2) / n_samples * design_effect))
    return interval(difference, se, float(stats.norm.ppf(0.95)))


def within_margin(ci90: Interval, margin: float) -> bool:
    """Returns whether a 90% interval lies inside -+margin.

    Raises:
        InputError: A margin not above 0.
    """
    _check(margin)
    return bool(-margin < ci90[0] and ci90[1] < margin)


def _equivalence(
    margin: float,
    estimate: float,
    p: tuple[float, float],
    ci90: Interval,
    warnings: tuple[str, ...],
) -> Equivalence:
    """Returns the outcome of the lower and the upper one-sided test."""
    lower, upper = p
    low, high = map(float, ci90)
    return Equivalence(
        margin=margin,
        estimate=estimate,
        p=max(lower, upper),
        p_lower=lower,
        p_upper=upper,
        ci90=(low, high),
        equivalent=max(lower, upper) < 0.05,
        ci_inside_margin=within_margin((low, high), margin),
        warnings=warnings,
    )


def _check(margin: float) -> None:
    if not (np.isfinite(margin) and margin > 0):
        raise InputError(f"margin is {margin}: fix a margin above 0 before looking at results")
