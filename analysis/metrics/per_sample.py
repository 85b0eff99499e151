"""Scores as means over samples, so that one test and one interval serve all of them.

Each function returns values [seeds, samples] whose mean (or, where it says so, the mean of whose
class means) is the score of each seed, and whose spread is the score's sampling error: exactly for
the Brier score, else to first order (the influence function; of the AUROC these are DeLong's
structural components). They are for `significance.crossed.crossed_mean`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scores import bins_of

Values = NDArray[np.float64]


def brier(probabilities: ArrayLike, targets: ArrayLike) -> Values:
    """Returns squared distances of probabilities from the true class; mean: the Brier score.

    Brier (1950): summed over classes, in [0, 2]; with two classes half of it, in [0, 1].

    Args:
        probabilities: [seeds, samples, classes].
        targets: True classes, [samples].
    """
    values = np.asarray(probabilities, dtype=np.float64)
    # Sum of (p - y)^2 without a second array of that size: only the true class's term differs.
    true = np.take_along_axis(values, np.asarray(targets)[np.newaxis, :, np.newaxis], axis=2)
    distances = (values**2).sum(axis=2) + 1 - 2 * true[:, :, 0]
    return distances / 2 if values.shape[2] == 2 else distances


def ece(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> Values:
    """Returns how far confidence is off, signed by bin; mean: the expected calibration error.

    The spread holds the bins' signs fixed, so that intervals near 0 are too narrow. Bins are those
    of `scores.calibration`; arguments as of `brier`.
    """
    values = np.asarray(probabilities)
    confidence = values.max(axis=2).astype(np.float64)
    gap = confidence - (values.argmax(axis=2) == np.asarray(targets))
    signed = np.empty_like(gap)
    for seed, place in enumerate(bins_of(confidence, bins)):
        sums = np.bincount(place, weights=gap[seed], minlength=bins)
        signed[seed] = np.sign(sums)[place] * gap[seed]
    return signed


def auroc(probabilities: ArrayLike, targets: ArrayLike) -> Values:
    """Returns values whose mean of class means is the AUROC: one against the rest, class mean.

    With two classes it is the AUROC of the second. DeLong, DeLong and Clarke-Pearson (1988,
    Biometrics 44:837); samples count as drawn within class. Arguments as of `brier`; classes
    without a sample are left out.
    """
    scores, labels = np.asarray(probabilities), np.asarray(targets)
    present = np.unique(labels)
    asked = present[1:] if scores.shape[2] == 2 else present
    theta, shares = np.zeros(len(scores)), np.zeros(scores.shape[:2])
    for name in asked:
        positive = labels == name
        for seed, one in enumerate(scores[:, :, name]):
            ranked = _share_ranked_right(one, positive)
            theta[seed] += ranked[positive].mean() / len(asked)
            shares[seed] += ranked / (np.where(positive, *_sizes(positive)) * len(asked))
    return _around(theta, shares, labels)


def macro_f1(predictions: ArrayLike, targets: ArrayLike) -> Values:
    """Returns values whose mean of class means is the macro F1, of the classes present.

    Args:
        predictions: Predicted classes, [seeds, samples].
        targets: True classes, [samples]; samples count as drawn within class.
    """
    predicted, labels = np.asarray(predictions), np.asarray(targets)
    present = np.unique(labels)
    theta, shares = np.zeros(len(predicted)), np.zeros(predicted.shape)
    for name in present:
        chosen, true = (predicted == name).astype(np.float64), labels == name
        size = chosen.sum(axis=1) + true.sum()
        f1 = 2 * chosen[:, true].sum(axis=1) / size
        theta += f1 / len(present)
        # Of 2 TP / (predicted + true), where the number of true ones is fixed.
        shares += chosen * (2 * true - f1[:, np.newaxis]) / (size[:, np.newaxis] * len(present))
    return _around(theta, shares, labels)


def _share_ranked_right(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> Values:
    """Returns of each sample the share of the other class that it is ranked right against.

    Ties count half. One sort serves both classes.
    """
    order = np.argsort(scores)
    first = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)  # of each run of ties
    sizes = np.diff(first, append=len(order))
    counts = np.add.reduceat(positive[order].astype(np.float64), first)
    others = sizes - counts
    # Of each run: negatives below it and half of those in it; positives above it, and half.
    below = np.cumsum(others) - others / 2
    above = counts.sum() - np.cumsum(counts) + counts / 2
    n_positive, n_negative = _sizes(positive)
    right = np.empty(len(order))
    right[order] = np.where(
        positive[order],
        np.repeat(below / n_negative, sizes),
        np.repeat(above / n_positive, sizes),
    )
    return right


def _sizes(positive: NDArray[np.bool_]) -> tuple[int, int]:
    """Returns how many samples are positive and how many are not."""
    count = int(positive.sum())
    return count, len(positive) - count


def _around(theta: Values, shares: Values, labels: NDArray[np.integer]) -> Values:
    """Returns values with means of class means `theta` [seeds] and each sample's share in it.

    What samples of a class share is no sampling error, as classes have fixed sizes.
    """
    values = np.repeat(theta[:, np.newaxis], len(labels), axis=1)
    present = np.unique(labels)
    for name in present:
        mine = labels == name
        own = shares[:, mine]
        spread = own - own.mean(axis=1, keepdims=True)
        values[:, mine] += len(present) * mine.sum() * spread
    return values
