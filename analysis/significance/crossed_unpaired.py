"""The crossed test when the two arms do not share their seeds.

For notebooks: no command reaches it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import pair_of_arms
from .covariance import case_covariance, mean_off_diagonal
from .crossed import Crossed, crossed_numbers, crossed_refusal, described_samples


@dataclass(frozen=True, kw_only=True)
class UnpairedCrossedTest(Crossed):
    """A difference of two arms with seeds of their own, both drawn like the samples.

    Attributes:
        n_seeds: Seeds of the first and of the second arm.
        ms_r: Variance over seeds within an arm, pooled over the arms.
        cov2: Mean sample covariance of two seeds of one arm, averaged over the arms.
        cov3: Mean sample covariance of a seed of one arm and a seed of the other.
    """

    n_seeds: tuple[int, int]
    ms_r: float | None = None
    cov2: float | None = None
    cov3: float | None = None


def crossed_test_unpaired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> UnpairedCrossedTest:
    """Tests first - second for new seeds and new samples; arms may differ in number of seeds.

    Readers nested in arms, as in Hillis (2014, Stat. Med. 33:330, doi 10.1002/sim.5926) and the R
    package MRMCaov; with unequal numbers of seeds the seed variances are pooled by their degrees
    of freedom. The samples' term of `df`, the floor and the jackknife are additions, as in
    `crossed_mean`.

    Arguments and errors are those of `crossed_test`, but each arm has its own seeds.
    """
    one, two = pair_of_arms(first, second, paired_seeds=False)
    cases = case_covariance(np.vstack([one, two]), classes, clusters)
    sizes, theta, covariance = (len(one), len(two)), cases.theta, cases.covariance
    groups = (slice(None, sizes[0]), slice(sizes[0], None))
    estimate = float(theta[groups[0]].mean() - theta[groups[1]].mean())
    weights = np.repeat([1 / sizes[0], -1 / sizes[1]], sizes)
    samples_only = float(np.sqrt(max(weights @ covariance @ weights, 0.0)))
    described = described_samples(cases, estimate, samples_only, min(sizes))
    refused = crossed_refusal(cases, min(sizes))
    if refused is not None:
        return UnpairedCrossedTest(**described, n_seeds=sizes, refused=refused)
    squares = [(n - 1) * theta[g].var(ddof=1) for n, g in zip(sizes, groups, strict=True)]
    ms_r = float(sum(squares) / (sum(sizes) - 2))
    cov2 = float(np.mean([mean_off_diagonal(covariance[g, g]) for g in groups]))
    cov3 = float(covariance[groups[0], groups[1]].mean())
    numbers = crossed_numbers(
        estimate,
        cases,
        seeds=[(ms_r * (1 / sizes[0] + 1 / sizes[1]), sum(sizes) - 2)],
        shared=max(2 * (cov2 - cov3), 0.0),
        samples_only=samples_only,
        zero=1e-12,
    )
    return UnpairedCrossedTest(
        **described, n_seeds=sizes, ms_r=ms_r, cov2=cov2, cov3=cov3, **numbers
    )
