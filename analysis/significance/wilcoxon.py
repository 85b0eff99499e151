"""Wilcoxon's signed-rank test, refused where it cannot reach 5%."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .arrays import vector
from .power import min_two_sided_p
from .results import Result
from .rules import MIN_PAIRS

ENUMERATED = 13
"""Most differences with ties whose sign flips are enumerated (8,192)."""


@dataclass(frozen=True)
class SignedRank:
    """Signed-rank statistics of differences, whatever their number: a description, not a test.

    Attributes:
        differences: The differences, rounded so that ties are ties.
        n: Number of differences that are not 0.
        t_plus: Sum of the ranks of positive differences.
        rank_biserial: 2 t_plus / (n (n + 1) / 2) - 1, in [-1, 1].
        p: Two-sided p, exact (also with ties, up to 13 differences).
        p_greater: One-sided p for positive differences.
        min_attainable_two_sided_p: The smallest two-sided p that n differences can give.
    """

    differences: tuple[float, ...]
    n: int
    t_plus: float
    rank_biserial: float
    p: float
    p_greater: float
    min_attainable_two_sided_p: float


@dataclass(frozen=True, kw_only=True)
class WilcoxonTest(Result):
    """Wilcoxon's signed-rank test; its fields are those of `SignedRank`.

    With n = 0 the smallest p is 1 and `rank_biserial` None; `p` and `t_plus` are None when refused.
    """

    n: int
    min_attainable_two_sided_p: float
    rank_biserial: float | None
    p: float | None = None
    t_plus: float | None = None


def signed_rank(differences: ArrayLike, *, decimals: int = 10) -> SignedRank | None:
    """Returns signed-rank statistics, or None if every difference is 0.

    With ties the null distribution is enumerated over sign flips; the tabulated exact
    distribution assumes that there are none.

    Args:
        differences: Paired differences; zeros are dropped (Wilcoxon's own rule).
        decimals: Rounding that removes the float noise which breaks ties.

    Raises:
        InputError: NaN, or not a vector.
    """
    d = np.round(vector(differences, "differences"), decimals)
    nonzero = d[d != 0]
    n = len(nonzero)
    if n == 0:
        return None
    tied = len(np.unique(np.abs(nonzero))) < n
    method: Any = "auto"
    # From 1.15 on scipy enumerates by itself; before, ties made it approximate.
    if tied and n <= ENUMERATED:
        method = stats.PermutationMethod(n_resamples=2**ENUMERATED)
    two_sided: Any = stats.wilcoxon(nonzero, method=method)
    greater: Any = stats.wilcoxon(nonzero, alternative="greater", method=method)
    t_plus = float(greater.statistic)
    return SignedRank(
        differences=tuple(d.tolist()),
        n=n,
        t_plus=t_plus,
        rank_biserial=4 * t_plus / (n * (n + 1)) - 1,
        p=float(two_sided.pvalue),
        p_greater=float(greater.pvalue),
        min_attainable_two_sided_p=min_two_sided_p(n),
    )


def wilcoxon_test(differences: ArrayLike, *, decimals: int = 10) -> WilcoxonTest:
    """Tests paired differences (over seeds or datasets); refuses below six that are not 0.

    Arguments and errors are those of `signed_rank`.
    """
    ranks = signed_rank(differences, decimals=decimals)
    if ranks is None:
        return WilcoxonTest(
            n=0,
            min_attainable_two_sided_p=1.0,
            rank_biserial=None,
            refused="zero variance: every difference is 0",
        )
    described: dict[str, Any] = {
        "n": ranks.n,
        "min_attainable_two_sided_p": ranks.min_attainable_two_sided_p,
        "rank_biserial": ranks.rank_biserial,
    }
    if ranks.n < MIN_PAIRS:
        least = f"{ranks.min_attainable_two_sided_p:g}, which cannot reach .05"
        reason = f"{ranks.n} differences: the signed-rank p is at least {least}"
        return WilcoxonTest(**described, refused=reason)
    return WilcoxonTest(**described, p=ranks.p, t_plus=ranks.t_plus)
