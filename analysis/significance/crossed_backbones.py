"""The confirmatory test of a dataset: the mean difference over backbones that share a test set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clipit_eva.errors import InputError

from .arrays import FloatArray, pair_of_arms
from .covariance import case_covariance, mean_off_diagonal
from .crossed import Crossed, crossed_numbers, crossed_refusal, described_samples


@dataclass(frozen=True, kw_only=True)
class BackbonesTest(Crossed):
    """A mean difference over backbones, for new seeds of each and new samples.

    Attributes:
        per_backbone: The mean difference of each backbone, over its seeds.
        n_seeds: Seeds of each backbone.
        seed_part: Variance of the estimate that is due to seeds.
        samples_part: Variance that is due to the samples, which all backbones share.
    """

    per_backbone: tuple[float, ...]
    n_seeds: tuple[int, ...]
    seed_part: float | None = None
    samples_part: float | None = None

    @property
    def wins(self) -> str:
        """Backbones with a positive estimate, as "k/n"."""
        return f"{sum(value > 0 for value in self.per_backbone)}/{len(self.per_backbone)}"


def crossed_test_over_backbones(
    first: Sequence[ArrayLike],
    second: Sequence[ArrayLike],
    *,
    classes: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> BackbonesTest:
    """Tests the mean of first - second over backbones, for new seeds and new samples.

    Each backbone is trained on its own, with seeds of its own; all are tested on the same samples.
    With one backbone it equals `crossed_test`.

    Args:
        first: Correctness of the first arm, [seeds, samples] for each backbone; backbones may
            differ in their number of seeds.
        second: Correctness of the second arm, for the same backbones.
        classes: As of `crossed_test`.
        clusters: As of `crossed_test`.

    Raises:
        InputError: Not the same backbones in both, another number of samples, or see
            `crossed_test`.
    """
    if not first or len(first) != len(second):
        raise InputError(f"first has {len(first)} backbones, second {len(second)}: give the same")
    pairs = [pair_of_arms(one, two) for one, two in zip(first, second, strict=True)]
    if len({one.shape[1] for one, _ in pairs}) > 1:
        raise InputError("backbones differ in their samples: test each on the same test set")
    cases = case_covariance(np.vstack([one - two for one, two in pairs]), classes, clusters)
    sizes = [len(one) for one, _ in pairs]
    ends = np.cumsum(sizes).tolist()
    blocks = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    per_backbone = [float(cases.theta[block].mean()) for block in blocks]
    weights = np.repeat([1 / (len(blocks) * size) for size in sizes], sizes)
    samples_only = float(np.sqrt(max(weights @ cases.covariance @ weights, 0.0)))
    estimate = float(np.mean(per_backbone))
    described = {
        **described_samples(cases, estimate, samples_only, min(sizes)),
        "per_backbone": tuple(per_backbone),
        "n_seeds": tuple(sizes),
    }
    refused = crossed_refusal(cases, min(sizes))
    if refused is not None:
        return BackbonesTest(**described, refused=refused)
    seeds = [
        (float(cases.theta[block].var(ddof=1)) / (len(blocks) ** 2 * size), size - 1)
        for block, size in zip(blocks, sizes, strict=True)
    ]
    shared = _shared(cases.covariance, blocks)
    numbers = crossed_numbers(
        estimate, cases, seeds=seeds, shared=shared, samples_only=samples_only, zero=1e-12
    )
    seed_part = sum(part for part, _ in seeds)
    return BackbonesTest(**described, seed_part=seed_part, samples_part=shared, **numbers)


def _shared(covariance: FloatArray, blocks: Sequence[slice]) -> float:
    """Returns the mean covariance of two seeds over backbones, without a seed with itself."""
    means = [
        mean_off_diagonal(covariance[one, one]) if one is two else covariance[one, two].mean()
        for one in blocks
        for two in blocks
    ]
    return max(float(np.mean(means)), 0.0)
