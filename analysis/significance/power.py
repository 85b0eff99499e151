"""What n seeds and a test set can and cannot show, before any model is trained."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import special, stats
from statsmodels.stats.power import TTestPower

from clipit_eva.errors import InputError

from .rules import cluster_refusal


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


def detectable(se: float, df: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Returns the smallest true difference that a two-sided t-test finds with this power.

    By the noncentral t distribution; rejections on the wrong side, rarer than one in a million at
    a power of 80%, do not count.

    Args:
        se: Standard error of the difference, which sets the unit.
        df: Its degrees of freedom; infinite ones mean that it is known.
        power: Share of studies that find it, above alpha.
        alpha: Level of the test.
    """
    df = min(df, 1e6)  # of more, the distribution is the normal's to five digits
    return se * float(special.nctdtrinc(df, 1 - power, stats.t.ppf(1 - alpha / 2, df)))


@dataclass(frozen=True)
class Variances:
    """What the variance of a contrast consists of, in a dataset's crossed test.

    Attributes:
        seed: Variance over seeds of one backbone's difference on a fixed test set, the mean over
            backbones.
        shared: Variance over test sets that all seeds and backbones share.
        df_cases: Degrees of freedom of `shared`: samples - classes, or slides - 1.
        n_backbones: Number of backbones that the contrast is the mean of.
    """

    seed: float
    shared: float
    df_cases: float
    n_backbones: int = 1

    def detectable(self, n_seeds: float, alpha: float = 0.05) -> float:
        """Returns the smallest true difference that 80% of studies with so many seeds detect.

        Seeds are those of each backbone; with infinitely many only the test set's part is left.
        """
        seed = self.seed / (self.n_backbones * n_seeds)
        spread = seed**2 / (self.n_backbones * (n_seeds - 1)) + self.shared**2 / self.df_cases
        variance = seed + self.shared
        df = variance**2 / spread if spread > 0 else np.inf
        return detectable(float(np.sqrt(variance)), df, alpha=alpha)


@dataclass(frozen=True)
class Assumptions:
    """What has to be assumed of two arms before any is trained; the defaults are for all.

    Attributes:
        accuracy: Of both arms.
        discordance: Share of test samples that one of two models, an arm's each, has right alone,
            relative to that of independent errors (2 x accuracy x (1 - accuracy)).
        recurring: Share of the discordance's variance that recurs with every seed.
        seed_sd: SD over seeds of the difference of accuracies, on infinitely many samples.
        slide_sd: SD over slides of the difference of accuracies, on infinitely many samples.
        unequal: Slides of unequal size and mix of classes count as this share of equal ones.
    """

    accuracy: float = 0.85
    discordance: float = 0.6
    recurring: float = 0.25
    seed_sd: float = 0.022
    slide_sd: float = 0.04
    unequal: float = 0.5

    def variances(
        self, n_samples: int, n_classes: int, n_slides: int | None, n_backbones: int
    ) -> Variances:
        """Returns the variances to expect on a test set with equally many samples a class.

        Raises:
            InputError: Too few samples or slides for a test.
        """
        if n_samples < max(2 * n_classes, n_slides or 0):
            raise InputError(f"{n_samples} test samples are too few for so many classes or slides")
        if cluster_refusal(n_slides):
            raise InputError(f"{n_slides} slides: too few for a test over slides")
        disagree = self.discordance * 2 * self.accuracy * (1 - self.accuracy) / n_samples
        shared = self.recurring * disagree
        if n_slides is not None:
            shared += self.slide_sd**2 / (self.unequal * n_slides)
        return Variances(
            seed=self.seed_sd**2 + (1 - self.recurring) * disagree,
            shared=shared,
            df_cases=n_samples - n_classes if n_slides is None else n_slides - 1,
            n_backbones=n_backbones,
        )
