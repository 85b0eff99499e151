"""Slide-clustered standard error of a seed-averaged accuracy difference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.regression.linear_model import OLS

from .arrays import codes, pair_of_arms
from .results import TTest
from .rules import cluster_refusal, cluster_warnings


@dataclass(frozen=True, kw_only=True)
class ClusteredDifference(TTest):
    """Seed-averaged accuracy difference of these very models, for new slides.

    Attributes:
        naive_se: Standard error if samples were independent.
        se: Slide-clustered standard error; `df` is slides - 1.
        design_effect: (se / naive_se)^2.
        effective_n: Samples / design effect.
    """

    estimate: float
    n_clusters: int
    naive_se: float
    se: float | None = None
    design_effect: float | None = None
    effective_n: float | None = None


def clustered_difference(
    first: ArrayLike, second: ArrayLike, clusters: ArrayLike
) -> ClusteredDifference:
    """Regresses per-sample differences on a constant with slide-clustered standard errors.

    Arguments and errors are those of `crossed_test`; seeds are averaged.
    """
    one, two = pair_of_arms(first, second)
    difference = (one - two).mean(axis=0)
    n = len(difference)
    groups, n_clusters = codes(clusters, n, "clusters")
    estimate = float(difference.mean())
    naive = float(difference.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    refused = cluster_refusal(n_clusters)
    common: dict[str, Any] = {"estimate": estimate, "n_clusters": n_clusters, "naive_se": naive}
    if refused is not None:
        return ClusteredDifference(**common, refused=refused)
    fit = OLS(difference, np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    se = float(fit.bse[0])
    if se <= 1e-12:
        reason = "zero variance: every slide has the same difference"
        return ClusteredDifference(**common, refused=reason)
    low, high = fit.conf_int(0.05)[0]
    return ClusteredDifference(
        **common,
        se=se,
        t=float(fit.tvalues[0]),
        df=n_clusters - 1,
        p=float(fit.pvalues[0]),
        ci95=(float(low), float(high)),
        design_effect=(se / naive) ** 2,
        effective_n=n * (naive / se) ** 2,
        warnings=cluster_warnings(n_clusters),
    )
