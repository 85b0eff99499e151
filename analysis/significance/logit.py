"""Log-odds ratio of being right, first arm against second, with clustered standard errors.

For notebooks: no command reaches it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import ArrayLike

from .arrays import binary, codes, pair_of_arms
from .results import Result
from .rules import cluster_refusal, cluster_warnings


@dataclass(frozen=True, kw_only=True)
class LogitDifference(Result):
    """Marginal log-odds ratio of a right answer, first arm over second, for new clusters.

    The models are these very ones, clusters are samples or slides, `se` is robust, `p` Wald's.
    """

    n_clusters: int
    est: float | None = None
    se: float | None = None
    p: float | None = None


def gee_logit(
    first: ArrayLike, second: ArrayLike, clusters: ArrayLike | None = None
) -> LogitDifference:
    """Fits right ~ arm by generalised estimating equations, independence working correlation.

    Liang and Zeger (1986, Biometrika 73:13). A mixed logit with random intercepts alone ignores
    that samples differ in how much they favour an arm and is far too sure; it is not offered.

    Without clusters each sample is its own.

    Raises:
        InputError: Shapes that do not fit, values other than 0 and 1, or missing labels.
    """
    one, two = pair_of_arms(first, second)
    for arm, name in ((one, "first"), (two, "second")):
        binary(arm, name)
    n = one.shape[1]
    groups, n_clusters = codes(np.arange(n) if clusters is None else clusters, n, "clusters")
    warnings = cluster_warnings(n_clusters)
    refused = cluster_refusal(n_clusters)
    if refused is None and any(arm.mean() in (0.0, 1.0) for arm in (one, two)):
        refused = "an arm is right on all samples or on none: its log-odds are infinite"
    if refused is None and (one.sum(axis=0) == two.sum(axis=0)).all():
        refused = "zero variance: both arms are right equally often on every sample"
    common: dict[str, Any] = {"n_clusters": n_clusters, "warnings": warnings}
    if refused is not None:
        return LogitDifference(**common, refused=refused)
    right = np.concatenate([one.ravel(), two.ravel()])
    is_first = np.repeat([1.0, 0.0], [one.size, two.size])
    members = np.concatenate([np.tile(groups, len(one)), np.tile(groups, len(two))])
    design = sm.add_constant(is_first)
    family = sm.families.Binomial()
    fit: Any = sm.GEE(right, design, groups=members, family=family).fit()
    return LogitDifference(
        **common, est=float(fit.params[1]), se=float(fit.bse[1]), p=float(fit.pvalues[1])
    )
