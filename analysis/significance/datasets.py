"""Across datasets: the macro difference over fixed datasets, and why rank tests rarely apply."""

from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from clipit_eva.errors import InputError

from .arrays import FloatArray
from .crossed import two_sided_p
from .results import Interval, Result, interval
from .rules import MIN_DATASETS

ENUMERATED = 5_000_000
"""Most arrangements of ranks that the exact Friedman p enumerates."""


@dataclass(frozen=True, kw_only=True)
class MacroDifference(Result):
    """Mean difference over these very datasets, with independent test sets.

    `df` are Satterthwaite's, None if standard errors count as known; `wins` are the datasets with a
    positive difference, as "k/n".
    """

    n_datasets: int
    estimate: float | None = None
    wins: str | None = None
    se: float | None = None
    z: float | None = None
    df: float | None = None
    p: float | None = None
    ci95: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Friedman(Result):
    """Friedman's test of methods ranked within datasets.

    Attributes:
        mean_ranks_rank1_best: Mean rank of each method, 1 for the highest score.
        friedman_p_exact: Exact permutation p; None where enumeration would take too long. The
            one to print with few datasets.
        friedman_chi2: Chi-square statistic; friedman_p: its p, conservative with few datasets.
        iman_davenport_F: F statistic; iman_davenport_p: its p, anticonservative with few.
    """

    mean_ranks_rank1_best: tuple[float, ...]
    friedman_p_exact: float | None = None
    friedman_chi2: float | None = None
    friedman_p: float | None = None
    iman_davenport_F: float | None = None  # noqa: N815 (the statistic's name)
    iman_davenport_p: float | None = None


@dataclass(frozen=True, kw_only=True)
class Nemenyi(Result):
    """Nemenyi's comparison of all methods, for a critical-difference diagram.

    Rank 1 is the highest score's; the critical difference is one of mean ranks, `p` a matrix.
    """

    mean_ranks: tuple[float, ...]
    critical_difference: float | None = None
    p: tuple[tuple[float, ...], ...] | None = None


def macro_difference(
    estimates: ArrayLike, standard_errors: ArrayLike, dfs: ArrayLike | None = None
) -> MacroDifference:
    """Averages differences over these datasets; says nothing about other datasets.

    se = sqrt(sum se^2) / n, for test sets that share no samples. To average backbones too, test
    each dataset once with `crossed_test_over_backbones`: backbones share test sets.

    Args:
        estimates: One difference per dataset; NaN marks a refused one.
        standard_errors: Their standard errors; NaN marks a refused one.
        dfs: Degrees of freedom of the standard errors (Satterthwaite 1946, Biometrics 2:110);
            without them the normal distribution is used.

    Raises:
        InputError: Vectors of different lengths, nothing in them, a negative standard error, or
            degrees of freedom that are not above 0.
    """
    values = np.asarray(estimates, dtype=np.float64)
    errors = np.asarray(standard_errors, dtype=np.float64)
    if values.ndim != 1 or values.shape != errors.shape or not values.size or (errors < 0).any():
        raise InputError("give one estimate and one standard error, not negative, per dataset")
    known = np.full(values.shape, np.inf) if dfs is None else np.asarray(dfs, dtype=np.float64)
    if known.shape != values.shape or (known <= 0).any():
        raise InputError("give degrees of freedom above 0 for each dataset, or none")
    n = len(values)
    if not (np.isfinite(values).all() and np.isfinite(errors).all()):
        return MacroDifference(n_datasets=n, refused="a dataset has no estimate or standard error")
    estimate, se = float(values.mean()), float(np.sqrt((errors**2).sum()) / n)
    wins = f"{int((values > 0).sum())}/{n}"
    described: dict[str, Any] = {"n_datasets": n, "estimate": estimate, "wins": wins}
    if se == 0:
        return MacroDifference(**described, refused="zero variance: se is 0")
    spread = float((errors**4 / known).sum())
    df = np.inf if spread == 0 else float((errors**2).sum()) ** 2 / spread
    return MacroDifference(
        **described,
        se=se,
        z=estimate / se,
        df=None if dfs is None else df,
        p=two_sided_p(estimate / se, df),
        ci95=interval(estimate, se, float(stats.t.ppf(0.975, df))),
    )


def friedman_test(scores: ArrayLike) -> Friedman:
    """Tests whether methods rank alike over datasets.

    Iman and Davenport (1980, Commun. Stat. A9:571) give F; the exact p permutes ranks within
    datasets (the first one's fixed) and counts sums of squared rank sums at least as large.

    Scores are [datasets, methods], higher is better, at least 2 x 3.

    Raises:
        InputError: Another shape, or NaN.
    """
    ranks = _ranks(scores, min_methods=3)
    n, k = ranks.shape
    mean_ranks = tuple(ranks.mean(axis=0).tolist())
    if (np.ptp(ranks, axis=1) == 0).all():
        reason = "zero variance: all methods tie on every dataset"
        return Friedman(mean_ranks_rank1_best=mean_ranks, refused=reason)
    chi2, p = (float(value) for value in stats.friedmanchisquare(*ranks.T))
    remainder = n * (k - 1) - chi2
    f = (n - 1) * chi2 / remainder if remainder > 1e-9 else None
    warnings = ()
    if n < MIN_DATASETS:
        warnings = (f"{n} datasets: only the exact p holds, the two approximations fail",)
    return Friedman(
        mean_ranks_rank1_best=mean_ranks,
        friedman_p_exact=_exact_p(ranks),
        friedman_chi2=chi2,
        friedman_p=p,
        iman_davenport_F=f,
        iman_davenport_p=None if f is None else float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))),
        warnings=warnings,
    )


def nemenyi_test(scores: ArrayLike, alpha: float = 0.05) -> Nemenyi:
    """Compares all methods by mean rank (Demsar 2006, JMLR 7:1); refuses below six datasets.

    Scores are [datasets, methods], higher is better, at least 2 x 2; `alpha` is the level of the
    critical difference.

    Raises:
        InputError: Another shape, or NaN.
    """
    ranks = _ranks(scores, min_methods=2)
    n, k = ranks.shape
    mean_ranks = tuple(ranks.mean(axis=0).tolist())
    critical = nemenyi_critical_difference(k, n, alpha)
    if n < MIN_DATASETS:
        reason = f"{n} datasets: a critical-difference diagram needs at least {MIN_DATASETS}"
        reason += f" (it would be {critical:.2f} of at most {k - 1})"
        return Nemenyi(mean_ranks=mean_ranks, refused=reason)
    return Nemenyi(
        mean_ranks=mean_ranks,
        critical_difference=critical,
        p=tuple(tuple(row) for row in nemenyi_p(mean_ranks, n).tolist()),
    )


def nemenyi_critical_difference(n_methods: int, n_datasets: int, alpha: float = 0.05) -> float:
    """Returns Nemenyi's critical difference of mean ranks (Demsar 2006)."""
    q = float(stats.studentized_range.ppf(1 - alpha, n_methods, np.inf))
    return q * float(np.sqrt(n_methods * (n_methods + 1) / (12 * n_datasets)))


def nemenyi_p(mean_ranks: ArrayLike, n_datasets: int) -> FloatArray:
    """Returns Nemenyi's p-values of all pairs of mean ranks [methods], as [methods, methods].

    The formula alone, without the refusal of few datasets.
    """
    ranks = np.asarray(mean_ranks, dtype=np.float64)
    k = len(ranks)
    gaps = np.abs(ranks[:, np.newaxis] - ranks) / np.sqrt(k * (k + 1) / (12 * n_datasets))
    p = np.ones_like(gaps)
    rows, columns = np.triu_indices(k, 1)
    p[rows, columns] = p[columns, rows] = stats.studentized_range.sf(gaps[rows, columns], k, np.inf)
    return p


def _ranks(scores: ArrayLike, min_methods: int) -> FloatArray:
    """Returns ranks within datasets, 1 for the highest score, ties averaged; refuses NaN."""
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < min_methods:
        raise InputError(
            f"scores has shape {array.shape}: give [datasets, methods], at least 2 x {min_methods}"
        )
    if not np.isfinite(array).all():
        raise InputError("scores contains NaN or infinite values: leave that method or dataset out")
    return stats.rankdata(-np.round(array, 12), axis=1)


def _exact_p(ranks: FloatArray) -> float | None:
    """Returns Friedman's exact permutation p, or None if enumeration would take too long."""
    n, k = ranks.shape
    if factorial(k) ** (n - 1) > ENUMERATED:
        return None
    orders = np.array(list(permutations(range(k))))
    sums = ranks[:1]
    for row in ranks[1:]:
        sums = (sums[:, np.newaxis] + row[orders]).reshape(-1, k)
    statistic = (sums**2).sum(axis=1)
    observed = (ranks.sum(axis=0) ** 2).sum()
    return float((statistic >= observed - 1e-9).mean())
