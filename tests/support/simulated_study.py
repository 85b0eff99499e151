"""Correctness of simulated models: a probit margin with crossed seeds, samples and slides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from clipit_eva.analysis.significance import Assumptions


@dataclass(frozen=True)
class TestSet:
    """Class and slide of each sample [samples]; `slides` is None where samples are independent."""

    __test__ = False  # no test, whatever its name

    classes: NDArray[np.int64]
    slides: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Margins:
    """How the margin of a right answer varies, in variances; a sample is right if it is above 0.

    They sum to 1: the rest is of a model's single answers.

    Attributes:
        accuracy: Share of right answers, by which the margin's mean is set.
        sample: Of samples (all models find some hard); slide: of slides, likewise.
        arm_sample: Of an arm's samples, whatever the seed; arm_slide: of an arm's slides.
        seed: Of a trained model, on all samples.
    """

    accuracy: float = 0.85
    sample: float = 0.4
    slide: float = 0.1
    arm_sample: float = 0.12
    arm_slide: float = 0.03
    seed: float = 0.02

    @classmethod
    def of(cls, assumed: Assumptions, slides: bool) -> "Margins":
        """Returns the margins with the variances that are assumed of right answers."""

        def both(shared: float) -> float:
            """Share of pairs of answers that are both right, by the variance that they share."""
            mean = [norm.ppf(assumed.accuracy)] * 2
            return float(multivariate_normal([0, 0], [[1, shared], [shared, 1]]).cdf(mean))

        def solve(target: float, base: float) -> float:
            """Returns the variance above `base` that makes so many more pairs both right."""
            return float(brentq(lambda v: both(base + v) - both(base) - target, 0, 0.99 - base))

        error = assumed.accuracy * (1 - assumed.accuracy)
        fixed = {"accuracy": assumed.accuracy, "slide": 0.0, "arm_slide": 0.0}
        if slides:
            slide = cls.slide
            fixed |= {"slide": slide, "arm_slide": solve(assumed.slide_sd**2 / 2, slide)}
        common = solve((1 - assumed.discordance) * error, 0)
        recurring = solve(assumed.recurring * assumed.discordance * error, common)
        return cls(
            **fixed,
            sample=common - fixed["slide"],
            arm_sample=max(recurring - fixed["arm_slide"], 0.0),
            seed=solve(assumed.seed_sd**2 / 2, 0),
        )

    @property
    def mean(self) -> float:
        """Mean margin of an arm."""
        return float(norm.ppf(self.accuracy))

    def shifts(self, gain: float) -> tuple[float, float]:
        """Returns how two arms' margins differ from the mean for some gain (a fraction)."""
        high, low = (self.accuracy + half for half in (gain / 2, -gain / 2))
        return float(norm.ppf(high)) - self.mean, float(norm.ppf(low)) - self.mean


def patches_of_slides(rng, n_slides: int, mean_size: int = 60) -> TestSet:
    """Draws slides of unequal size, of which half have no patch of the second class (tumour)."""
    sizes = 10 + rng.exponential(mean_size - 10, n_slides).astype(int)
    shares = np.where(np.arange(n_slides) % 2, rng.random(n_slides), 0.0)
    tumour = np.ceil(shares * sizes)
    slides = np.repeat(np.arange(n_slides), sizes)
    place = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
    return TestSet((place < tumour[slides]).astype(int), slides)


def draw_right(
    rng, test: TestSet, margins: Margins, shifts, n_seeds: int, n_backbones: int = 1
) -> NDArray[np.bool_]:
    """Draws which answers are right, [arms, backbones, seeds, samples].

    Half of what an arm's samples and slides vary is common to its backbones. With equal `shifts`
    (of an arm's margin) arms have the same expectation on every test set: nothing tells them apart.
    """
    n, models = len(test.classes), (len(shifts), n_backbones)

    def normal(variance, *shape):
        return np.float32(variance**0.5) * rng.standard_normal(shape, dtype=np.float32)

    def of_arms(variance, count):
        common = normal(variance / 2, len(shifts), 1, 1, count)
        return common + normal(variance / 2, *models, 1, count)

    right = np.reshape(margins.mean + np.asarray(shifts, dtype=np.float32), (-1, 1, 1, 1))
    groups = np.arange(n) if test.slides is None else test.slides
    slides = normal(margins.slide, groups.max() + 1) + of_arms(margins.arm_slide, groups.max() + 1)
    right = right + normal(margins.sample, n) + of_arms(margins.arm_sample, n) + slides[..., groups]
    right = right + normal(margins.seed, *models, n_seeds, 1)
    known = (margins.sample, margins.slide, margins.arm_sample, margins.arm_slide, margins.seed)
    return right + normal(1 - sum(known), *models, n_seeds, n) > 0
