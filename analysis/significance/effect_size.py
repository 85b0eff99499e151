"""How large a difference over seeds is, beside how sure it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import gammaln
from statsmodels.stats.proportion import proportion_confint

from .arrays import pair_of_vectors, vector
from .results import Interval, Result

MEANINGFUL_RUNS = 29
"""Paired runs that Bouthillier et al. (2021) find necessary for P(A > B) at gamma = .75."""


@dataclass(frozen=True, kw_only=True)
class Outperforming(Result):
    """How often the first procedure's score is above the second's. Descriptive with few seeds.

    Attributes:
        wins: Pairs (of n) in which the first is above; ties: with equal scores.
        paired: P(first > second) within pairs, ties counted half.
        unpaired_mann_whitney: P(first > second) over all pairs of runs, ties counted half.
        paired_ci95: Wilson interval of `paired`.
    """

    n: int
    wins: int
    ties: int
    paired: float
    unpaired_mann_whitney: float
    paired_ci95: Interval


def probability_of_outperforming(first: ArrayLike, second: ArrayLike) -> Outperforming:
    """Returns how often one procedure outperforms another.

    `paired` is P(A > B) of Bouthillier et al. (2021, arXiv 2103.03098); `unpaired_mann_whitney` is
    the probability of improvement of Agarwal et al. (2021, arXiv 2108.13264), U / (n m).

    Raises:
        InputError: Vectors that do not fit, or NaN.
    """
    one, two = pair_of_vectors(first, second)
    n, differences = len(one), np.round(one - two, 12)
    wins, ties = int((differences > 0).sum()), int((differences == 0).sum())
    u = stats.mannwhitneyu(np.round(one, 12), np.round(two, 12)).statistic
    warnings = ()
    if n < MEANINGFUL_RUNS:
        warnings = (f"descriptive: {n} paired runs (about {MEANINGFUL_RUNS} would be needed)",)
    return Outperforming(
        n=n,
        wins=wins,
        ties=ties,
        paired=(wins + ties / 2) / n,
        unpaired_mann_whitney=float(u / n**2),
        paired_ci95=wilson_interval(wins + ties / 2, n),
        warnings=warnings,
    )


def wilson_interval(count: float, n: int, level: float = 0.95) -> Interval:
    """Returns Wilson's score interval of the proportion count / n, within [0, 1]."""
    bounds: Any = proportion_confint(count, n, alpha=1 - level, method="wilson")
    return (max(float(bounds[0]), 0.0), min(float(bounds[1]), 1.0))


def cohen_d_z(differences: ArrayLike) -> float:
    """Returns mean / SD (ddof 1) of paired differences: d_z, not d_av.

    Raises:
        InputError: NaN, or not a vector.
    """
    d = vector(differences, "differences")
    return float(d.mean() / d.std(ddof=1))


def hedges_g_z(differences: ArrayLike) -> float:
    """Returns d_z times the exact small-sample correction with n - 1 degrees of freedom.

    Hedges (1981, J. Educ. Stat. 6:107): J(m) = gamma(m / 2) / (sqrt(m / 2) gamma((m - 1) / 2)).

    Raises:
        InputError: NaN, or not a vector.
    """
    half = (len(vector(differences, "differences")) - 1) / 2
    correction = np.exp(gammaln(half) - gammaln(half - 0.5)) / np.sqrt(half)
    return float(correction * cohen_d_z(differences))
