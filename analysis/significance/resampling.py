"""Shared by the bootstraps: how often each cluster is drawn, in blocks of bounded memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from clipit_eva.errors import InputError

from .arrays import FloatArray

N_RESAMPLES = 9_999
_BLOCK_ENTRIES = 4_000_000


def cluster_draws(
    rng: np.random.Generator, n_clusters: int, n_resamples: int
) -> Iterator[FloatArray]:
    """Yields blocks [resamples, clusters] of how often each cluster is drawn with replacement."""
    block = max(1, _BLOCK_ENTRIES // n_clusters)
    share = np.full(n_clusters, 1 / n_clusters)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        yield rng.multinomial(n_clusters, share, size=size).astype(np.float64)


def spread_of(draws: FloatArray) -> dict[str, Any]:
    """Returns a bootstrap result's fields from its draws: 95% percentile interval and SE."""
    if len(draws) < 2 or np.ptp(draws) <= 1e-12:
        reason = "zero variance: resampling does not change the difference"
        return {"n_resamples": len(draws), "refused": reason}
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "n_resamples": len(draws),
        "percentile_ci95": (float(low), float(high)),
        "bootstrap_se": float(draws.std(ddof=1)),
    }


def incomplete_warnings(n_resamples: int, n_complete: int) -> tuple[str, ...]:
    """Returns the warning that some resamples lacked a class, if one is due."""
    lacking = n_resamples - n_complete
    return (f"{lacking} resamples lacked a class",) if lacking else ()


def check_resamples(n_resamples: int) -> None:
    """Refuses numbers of resamples too small for a 95% interval.

    Raises:
        InputError: Fewer than 1,000.
    """
    if n_resamples < 1_000:
        raise InputError(f"n_resamples is {n_resamples}: a 95% interval needs at least 1000")
