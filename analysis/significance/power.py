"""What n seeds can and cannot show, before any is trained.

For notebooks, but for the smallest p of a signed-rank test: no command reaches the rest.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.power import TTestPower

from clipit_eva.errors import InputError


@dataclass(frozen=True)
class Attainable:
    """What n paired seeds can show at a two-sided level.

    Attributes:
        wilcoxon_or_signflip_min_two_sided_p: Smallest p of a signed-rank or sign-flip test.
        sign_test_min_two_sided_p: Smallest p of a sign test.
        t_critical_two_sided: Critical t with n - 1 degrees of freedom.
        ci_halfwidth_in_sd_units: Half-width of the 1 - alpha interval, in SDs of the differences.
        smallest_d_z_for_80pct_power: Smallest mean / SD that a t-test finds in 80% of studies.
        power_at_d_z_1: Power of the t-test if the mean difference equals its SD.
    """

    n: int
    alpha: float
    wilcoxon_or_signflip_min_two_sided_p: float
    sign_test_min_two_sided_p: float
    t_critical_two_sided: float
    ci_halfwidth_in_sd_units: float
    smallest_d_z_for_80pct_power: float
    power_at_d_z_1: float


def attainable(n: int, alpha: float = 0.05) -> Attainable:
    """Returns what n paired seeds can show at a two-sided level.

    Raises:
        InputError: Fewer than two seeds, or a level outside (0, 1).
    """
    if n < 2 or not 0 < alpha < 1:
        raise InputError(f"n = {n}, alpha = {alpha}: give n of at least 2 and alpha in (0, 1)")
    critical = float(stats.t.ppf(1 - alpha / 2, n - 1))
    return Attainable(
        n=n,
        alpha=alpha,
        wilcoxon_or_signflip_min_two_sided_p=min_two_sided_p(n),
        sign_test_min_two_sided_p=float(stats.binomtest(n, n).pvalue),
        t_critical_two_sided=critical,
        ci_halfwidth_in_sd_units=critical / float(np.sqrt(n)),
        smallest_d_z_for_80pct_power=smallest_d_z(n, 0.8, alpha),
        power_at_d_z_1=paired_t_power(1.0, n, alpha),
    )


def min_two_sided_p(n: int) -> float:
    """Returns the smallest two-sided p of a signed-rank or sign-flip test of n differences."""
    return min(2.0 ** (1 - n), 1.0)


def reaches_holm(n: int, family_size: int, alpha: float = 0.05) -> bool:
    """Returns whether a sign-flip test of n seeds can pass Holm's first step in a family."""
    return min_two_sided_p(n) <= alpha / family_size


def paired_t_power(d_z: float, n: int, alpha: float = 0.05) -> float:
    """Returns the power of a two-sided paired t-test of n seeds if mean / SD is `d_z`."""
    return float(TTestPower().power(d_z, n, alpha, alternative="two-sided"))


def smallest_d_z(n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Returns the smallest mean / SD that a paired t-test of n seeds finds with this power."""
    with warnings.catch_warnings():
        # The solver may step through effects at which the noncentral t is inexact.
        warnings.simplefilter("ignore", RuntimeWarning)
        solution = TTestPower().solve_power(nobs=n, alpha=alpha, power=power)
    return float(np.squeeze(solution))
