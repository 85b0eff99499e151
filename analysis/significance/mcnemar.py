"""McNemar's test of two fixed models on the same samples, for each seed and never pooled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar

from clipit_eva.errors import InputError

from .arrays import binary, pair_of_arms
from .results import Result


@dataclass(frozen=True, kw_only=True)
class McNemar(Result):
    """McNemar's test of one pair of models: is the first right where the second is wrong?

    Attributes:
        b: Samples that only the first model has right.
        c: Samples that only the second model has right.
        risk_difference: Difference of accuracies, first - second.
        exact: Exact conditional p; midp: mid-p.
        asymptotic: Chi-square p, None without discordant pairs; asymptotic_cc: the same with
            continuity correction.
        note: "identical correctness" if no pair is discordant, else None.
    """

    b: int
    c: int
    risk_difference: float
    exact: float
    midp: float
    asymptotic: float | None
    asymptotic_cc: float | None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class McNemarRange(Result):
    """McNemar's test of each seed, with the smallest and largest p over seeds.

    The p-values share test samples and must not be combined.
    """

    per_seed: tuple[McNemar, ...]
    exact_range: tuple[float, float]
    midp_range: tuple[float, float]


def mcnemar_test(table: ArrayLike) -> McNemar:
    """Tests a paired 2x2 table.

    The mid-p is the one of Fagerland, Lydersen and Laake (2013, doi 10.1186/1471-2288-13-91):
    exact - pmf(b), or 1 - pmf(b) / 2 when b equals c.

    Args:
        table: Counts [[both right, only first right], [only second right, both wrong]].

    Raises:
        InputError: Not 2x2, negative or fractional counts, or no samples.
    """
    counts = np.asarray(table)
    if counts.shape != (2, 2) or (counts < 0).any() or (counts != counts.round()).any():
        raise InputError("table must be 2x2 with counts that are whole and not negative")
    total = int(counts.sum())
    if total == 0:
        raise InputError("table is empty: McNemar's test needs samples")
    b, c = int(counts[0, 1]), int(counts[1, 0])
    identical, exact = b + c == 0, _p(counts, exact=True)
    pmf = float(stats.binom.pmf(b, b + c, 0.5))
    midp = 1 - pmf / 2 if b == c else exact - pmf
    return McNemar(
        b=b,
        c=c,
        risk_difference=(b - c) / total,
        exact=exact,
        midp=1.0 if identical else midp,
        asymptotic=None if identical else _p(counts, exact=False, correction=False),
        asymptotic_cc=None if identical else _p(counts, exact=False, correction=True),
        note="identical correctness" if identical else None,
    )


def mcnemar_per_seed(first: ArrayLike, second: ArrayLike) -> McNemarRange:
    """Tests each seed's pair of models on the shared samples.

    Raises:
        InputError: Shapes that do not fit, or values other than 0 and 1.
    """
    one, two = pair_of_arms(first, second)
    right, other = binary(one, "first"), binary(two, "second")
    tests = tuple(mcnemar_test(paired_table(a, b)) for a, b in zip(right, other, strict=True))
    exact, midp = [test.exact for test in tests], [test.midp for test in tests]
    return McNemarRange(
        per_seed=tests, exact_range=(min(exact), max(exact)), midp_range=(min(midp), max(midp))
    )


def paired_table(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """Returns [[both right, only first right], [only second right, both wrong]] as int64.

    Given is the correctness of two models, boolean [samples].
    """
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    return np.array([[(a & b).sum() for b in (two, ~two)] for a in (one, ~one)])


def _p(counts: np.ndarray, **options: bool) -> float:
    """Returns statsmodels' p of McNemar's test."""
    result: Any = sm_mcnemar(counts, **options)
    return float(result.pvalue)
