"""Does the text model know what the vision model does not? Counts beside their chance baseline.

The paper's measure (arXiv 2504.16181, Fig. 3) is the number of test samples that the text model
has right and the vision model wrong. Alone it is no evidence: on a binary task a coin flip is right
on half of the vision errors. Every count here therefore comes with what independence would give.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from clipit_eva.errors import InputError

from ..significance.arrays import codes, correctness
from ..significance.crossed import CrossedTest, crossed_mean
from ..significance.effect_size import wilson_interval
from ..significance.mcnemar import paired_table
from ..significance.results import Interval, OfSamples, Result, interval

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Complementarity(OfSamples):
    """Agreement in errors of one text model and one vision model on one test set.

    Intervals are Wilson's: these very models, independent samples. None is undefined (nothing to
    divide by, or an empty cell of a 2x2 table).

    Attributes:
        both_right: Samples (of n) that both have right; both_wrong: that both have wrong.
        text_only_right: Samples with text right and vision wrong: the paper's measure, of which
            text_only_right_rate is the share. vision_only_right and its rate: the mirror.
        rescue_rate: P(text right | vision wrong); mirror_rescue_rate: its mirror.
        oracle_accuracy: Accuracy if the right one of the two were always chosen.
        oracle_gain_over_best: That minus the better model's accuracy.
        disagreement: Rate of samples that exactly one has right.
        double_fault: Rate of samples that both have wrong.
        expected_text_only_right_if_independent: Chance baseline of `text_only_right` from the two
            accuracies; expected_vision_only_right_if_independent: of the mirror.
        observed_over_expected: text_only_right over its baseline.
        expected_text_only_right_if_independent_within_class: Baseline from accuracies by class.
        odds_ratio: Odds ratio of being right: above 1 the errors coincide (less complementary
            than independent), below 1 they avoid each other.
        yule_q: (odds_ratio - 1) / (odds_ratio + 1).
        mantel_haenszel_odds_ratio: Odds ratio pooled over classes.
        mantel_haenszel_p: p against a pooled odds ratio of 1, without continuity correction.
    """

    n: int
    both_right: int
    text_only_right: int
    vision_only_right: int
    both_wrong: int
    text_accuracy: float
    vision_accuracy: float
    text_only_right_rate: float
    vision_only_right_rate: float
    text_only_right_rate_ci95: Interval
    vision_only_right_rate_ci95: Interval
    rescue_rate: float | None
    rescue_rate_ci95: Interval | None
    mirror_rescue_rate: float | None
    mirror_rescue_rate_ci95: Interval | None
    oracle_accuracy: float
    oracle_gain_over_best: float
    disagreement: float
    double_fault: float
    expected_text_only_right_if_independent: float
    expected_vision_only_right_if_independent: float
    observed_over_expected: float | None
    expected_text_only_right_if_independent_within_class: float
    odds_ratio: float | None
    odds_ratio_ci95: Interval | None
    yule_q: float | None
    mantel_haenszel_odds_ratio: float | None
    mantel_haenszel_p: float | None
    mantel_haenszel_ci95: Interval | None


@dataclass(frozen=True, kw_only=True)
class ComplementarityOverSeeds(Result):
    """Complementarity over seeds, text seed s paired with vision seed s.

    What begins with `mirror_` is the same of samples with vision right and text wrong.

    Attributes:
        text_only_right_counts: Count of each seed.
        mean: Mean of the counts; sd_ddof1: their standard deviation (None with one seed).
        expected_mean: Mean of the counts' chance baselines within class.
        grid_text_by_vision: Count of every text seed (rows) with every vision seed (columns).
        grid_mean: Mean of the grid, which does not depend on how seeds are paired.
        text_only_right_any_seed: Samples counted for at least one seed.
        text_only_right_all_seeds: Samples counted for all seeds.
        rate_crossed: Rate of text right and vision wrong over new seeds and new samples.
    """

    text_only_right_counts: tuple[int, ...]
    mean: float
    expected_mean: float
    sd_ddof1: float | None
    mirror_counts: tuple[int, ...]
    mirror_mean: float
    mirror_expected_mean: float
    mirror_sd_ddof1: float | None
    grid_text_by_vision: tuple[tuple[int, ...], ...]
    grid_mean: float
    mirror_grid_text_by_vision: tuple[tuple[int, ...], ...]
    mirror_grid_mean: float
    text_only_right_any_seed: int
    text_only_right_all_seeds: int
    rate_crossed: CrossedTest
    mirror_rate_crossed: CrossedTest


def complementarity(
    targets: ArrayLike, text_predictions: ArrayLike, vision_predictions: ArrayLike
) -> Complementarity:
    """Compares the errors of one text model and one vision model: classes as [samples].

    Raises:
        InputError: Shapes that do not fit, or missing values.
    """
    each = complementarity_by_seed(targets, text_predictions, vision_predictions)
    if len(each) != 1:
        raise InputError(f"predictions of {len(each)} seeds: use complementarity_over_seeds")
    return each[0]


def complementarity_by_seed(
    targets: ArrayLike, text_predictions: ArrayLike, vision_predictions: ArrayLike
) -> tuple[Complementarity, ...]:
    """Returns `complementarity` of text seed s and vision seed s, for each s: [seeds, samples].

    Raises:
        InputError: Shapes that do not fit, or missing values.
    """
    text, vision, labels = _runs(targets, text_predictions, vision_predictions)
    return tuple(_complementarity(t, v, labels) for t, v in zip(text, vision, strict=True))


def complementarity_over_seeds(
    targets: ArrayLike,
    text_predictions: ArrayLike,
    vision_predictions: ArrayLike,
    clusters: ArrayLike | None = None,
) -> ComplementarityOverSeeds:
    """Summarises complementarity over seeds, with a crossed interval of the rates.

    Classes are [seeds, samples] of both models, and `clusters` the slide or patient of each sample.

    Raises:
        InputError: Shapes that do not fit, or missing values.
    """
    text, vision, labels = _runs(targets, text_predictions, vision_predictions)
    counted, mirror = (
        _counted(of_text, of_vision, labels, clusters)
        for of_text, of_vision in ((text, ~vision), (~text, vision))
    )
    rescued = text & ~vision
    return ComplementarityOverSeeds(
        text_only_right_counts=counted.pop("counts"),
        **counted,
        **{f"mirror_{name}": value for name, value in mirror.items()},
        text_only_right_any_seed=int(rescued.any(axis=0).sum()),
        text_only_right_all_seeds=int(rescued.all(axis=0).sum()),
        refused=counted["rate_crossed"].refused,
        warnings=counted["rate_crossed"].warnings,
    )


def _counted(
    text: BoolArray, vision: BoolArray, labels: NDArray[np.int64], clusters: ArrayLike | None
) -> dict[str, Any]:
    """Returns what is said of samples that are as asked for in text and in vision, over seeds."""
    both = text & vision
    counts, grid = both.sum(axis=1), text.astype(np.int64) @ vision.T.astype(np.int64)
    expected = [_expected_within_class(t, v, labels) for t, v in zip(text, vision, strict=True)]
    return {
        "counts": tuple(counts.tolist()),
        "mean": float(counts.mean()),
        "expected_mean": float(np.mean(expected)),
        "sd_ddof1": float(counts.std(ddof=1)) if len(counts) > 1 else None,
        "grid_text_by_vision": tuple(tuple(row) for row in grid.tolist()),
        "grid_mean": float(grid.mean()),
        "rate_crossed": _rate(both, clusters),
    }


def _rate(counted: BoolArray, clusters: ArrayLike | None) -> CrossedTest:
    """Returns the rate of counted samples [seeds, samples] over new seeds and new samples.

    A rate is described and not tested: the interval with the floor keeps the degrees of freedom of
    the standard error below it, which are fewer.
    """
    rate = crossed_mean(counted, clusters=clusters)
    if rate.df is None or rate.se_floor is None:
        return rate
    critical = float(stats.t.ppf(0.975, rate.df))
    return dataclasses.replace(rate, ci95_floor=interval(rate.estimate, rate.se_floor, critical))


def _runs(
    targets: ArrayLike, text_predictions: ArrayLike, vision_predictions: ArrayLike
) -> tuple[BoolArray, BoolArray, NDArray[np.int64]]:
    """Returns correctness of both models [seeds, samples] and integer labels [samples]."""
    text = correctness(text_predictions, targets).astype(bool)
    vision = correctness(vision_predictions, targets).astype(bool)
    if len(text) != len(vision):
        raise InputError(
            f"text has {len(text)} seeds, vision {len(vision)}: give the same seeds of both"
        )
    labels, _ = codes(targets, text.shape[1], "targets")
    return text, vision, labels


def _complementarity(
    text: BoolArray, vision: BoolArray, labels: NDArray[np.int64]
) -> Complementarity:
    """Computes all measures from two models' correctness."""
    table = paired_table(text, vision)
    (both_right, text_only), (vision_only, both_wrong) = table.tolist()
    n = text.size
    text_right, vision_right = both_right + text_only, both_right + vision_only
    expected = text_right * (n - vision_right) / n
    best = max(text_right, vision_right)
    rescue, rescue_ci = _proportion(text_only, n - vision_right)
    mirror, mirror_ci = _proportion(vision_only, n - text_right)
    return Complementarity(
        n=n,
        both_right=both_right,
        text_only_right=text_only,
        vision_only_right=vision_only,
        both_wrong=both_wrong,
        text_accuracy=text_right / n,
        vision_accuracy=vision_right / n,
        text_only_right_rate=text_only / n,
        vision_only_right_rate=vision_only / n,
        text_only_right_rate_ci95=wilson_interval(text_only, n),
        vision_only_right_rate_ci95=wilson_interval(vision_only, n),
        rescue_rate=rescue,
        rescue_rate_ci95=rescue_ci,
        mirror_rescue_rate=mirror,
        mirror_rescue_rate_ci95=mirror_ci,
        oracle_accuracy=(n - both_wrong) / n,
        oracle_gain_over_best=(n - both_wrong - best) / n,
        disagreement=(text_only + vision_only) / n,
        double_fault=both_wrong / n,
        expected_text_only_right_if_independent=expected,
        expected_vision_only_right_if_independent=vision_right * (n - text_right) / n,
        observed_over_expected=text_only / expected if expected > 0 else None,
        expected_text_only_right_if_independent_within_class=_expected_within_class(
            text, ~vision, labels
        ),
        **_odds(table),
        **_mantel_haenszel(text, vision, labels),
    )


def _proportion(count: int, n: int) -> tuple[float | None, Interval | None]:
    """Returns a proportion and its Wilson interval, both None without a denominator."""
    return (None, None) if n == 0 else (count / n, wilson_interval(count, n))


def _expected_within_class(text: BoolArray, vision: BoolArray, labels: NDArray[np.int64]) -> float:
    """Returns how many samples are in both sets by chance, if independent within classes."""
    in_text, in_vision = (np.bincount(labels, weights=of) for of in (text, vision))
    return float((in_text * in_vision / np.bincount(labels)).sum())


def _odds(table: NDArray[np.int64]) -> dict[str, Any]:
    """Returns the odds ratio of a 2x2 table; None if a cell is empty."""
    if (table == 0).any():
        return {"odds_ratio": None, "odds_ratio_ci95": None, "yule_q": None}
    odds: Any = Table2x2(table)
    low, high = odds.oddsratio_confint()
    ratio = float(odds.oddsratio)
    return {
        "odds_ratio": ratio,
        "odds_ratio_ci95": (float(low), float(high)),
        "yule_q": (ratio - 1) / (ratio + 1),
    }


def _mantel_haenszel(
    text: BoolArray, vision: BoolArray, labels: NDArray[np.int64]
) -> dict[str, Any]:
    """Returns the odds ratio pooled over classes (Mantel and Haenszel 1959); None if undefined.

    The interval's variance is the one of Robins, Breslow and Greenland (1986).
    """
    strata = [paired_table(text[labels == k], vision[labels == k]) for k in range(labels.max() + 1)]
    # A class of one sample has no variance; it adds 0 to both sums of the pooled ratio.
    strata = [table for table in strata if table.sum() > 1]
    agree = sum(t[0, 0] * t[1, 1] / t.sum() for t in strata)
    differ = sum(t[0, 1] * t[1, 0] / t.sum() for t in strata)
    ratio = p = low = high = None
    if agree != 0 and differ != 0:
        pooled: Any = StratifiedTable(np.stack(strata, axis=2).astype(np.float64))
        ratio, p = pooled.oddsratio_pooled, pooled.test_null_odds(correction=False).pvalue
        low, high = pooled.oddsratio_pooled_confint()
        ratio, p, low, high = (float(x) if np.isfinite(x) else None for x in (ratio, p, low, high))
    return {
        "mantel_haenszel_odds_ratio": ratio,
        "mantel_haenszel_p": p,
        "mantel_haenszel_ci95": None if low is None or high is None else (low, high),
    }
