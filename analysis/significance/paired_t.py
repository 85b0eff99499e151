"""What the scores of several seeds say about the seeds: summary and paired t."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .arrays import FloatArray, pair_of_vectors, vector
from .effect_size import cohen_d_z, hedges_g_z
from .results import Result, TTest
from .rules import MIN_SEEDS, seed_refusal, seed_warnings


@dataclass(frozen=True, kw_only=True)
class SeedSummary(Result):
    """Scores over n seeds; `sd` is their standard deviation (ddof 1), None below three seeds."""

    n: int
    mean: float
    sd: float | None
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class PairedT(TTest):
    """Paired t-test over n seeds: would the mean difference on this test set hold for new seeds?

    Attributes:
        minimum: Smallest difference; maximum: the largest.
        sd_diff: Standard deviation of the differences (ddof 1); None below three seeds.
        cohen_d_z: Mean / SD of the differences.
        hedges_g_z: The same, corrected for small samples.
    """

    n: int
    mean_diff: float
    minimum: float
    maximum: float
    sd_diff: float | None = None
    cohen_d_z: float | None = None
    hedges_g_z: float | None = None


def seed_summary(scores: ArrayLike) -> SeedSummary:
    """Summarises one arm's scores, one per seed; no SD below three seeds.

    Raises:
        InputError: NaN, or not a vector.
    """
    values = vector(scores, "scores")
    n = len(values)
    return SeedSummary(
        n=n,
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if n >= MIN_SEEDS else None,
        minimum=float(values.min()),
        maximum=float(values.max()),
        refused=seed_refusal(n, "a standard deviation over seeds"),
        warnings=seed_warnings(n),
    )


def paired_t_test(first: ArrayLike, second: ArrayLike) -> PairedT:
    """Tests the mean of first - second over seeds, on this test set: one score a seed of each arm.

    Raises:
        InputError: Vectors that do not fit, or NaN.
    """
    one, two = pair_of_vectors(first, second)
    d = one - two
    n, scale = len(d), float(max(np.abs(one).max(), np.abs(two).max()))
    # Rounding noise of equal scores must give a difference of exactly 0.
    mean = 0.0 if np.abs(d).max() <= 1e-12 * scale else float(d.mean())
    described: dict[str, Any] = {
        "n": n,
        "mean_diff": mean,
        "minimum": float(d.min()),
        "maximum": float(d.max()),
        "warnings": seed_warnings(n),
    }
    refused = seed_refusal(n, "the paired t-test") or zero_variance(d, scale)
    if refused is not None:
        return PairedT(**described, refused=refused)
    test = stats.ttest_rel(one, two)
    low, high = test.confidence_interval(0.95)
    return PairedT(
        **described,
        sd_diff=float(d.std(ddof=1)),
        t=float(test.statistic),
        df=n - 1,
        p=float(test.pvalue),
        ci95=(float(low), float(high)),
        cohen_d_z=cohen_d_z(d),
        hedges_g_z=hedges_g_z(d),
    )


def zero_variance(differences: FloatArray, scale: float) -> str | None:
    """Returns why differences over seeds that do not vary cannot be tested; None if they do.

    `scale` is the magnitude of the scores that they come from, which sets the rounding noise.
    """
    if np.ptp(differences) <= 1e-12 * scale:
        return "zero variance: the difference is the same for every seed"
    return None
