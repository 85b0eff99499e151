"""Scores of predictions: accuracy, balanced accuracy, confusion, calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..significance.arrays import correctness


def accuracy(predictions: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """Returns the accuracy of each seed, [seeds], in [0, 1]; arguments as of `correctness`."""
    return correctness(predictions, targets).mean(axis=1)


def balanced_accuracy(predictions: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """Returns the balanced accuracy (mean recall of the classes present) of each seed, [seeds].

    Arguments and errors are those of `correctness`.
    """
    right, labels = correctness(predictions, targets), np.asarray(targets)
    recalls = [right[:, labels == name].mean(axis=1) for name in np.unique(labels)]
    return np.mean(recalls, axis=0)


def confusion(predictions: ArrayLike, targets: ArrayLike, n_classes: int) -> NDArray[np.float64]:
    """Returns the mean confusion matrix over seeds, [true class, predicted class], in samples.

    Classes are 0 to n_classes - 1, predicted ones [seeds, samples] or [samples], true [samples].
    """
    predicted = np.atleast_2d(np.asarray(predictions)).astype(np.int64)
    places = np.asarray(targets).astype(np.int64) * n_classes + predicted
    counts = np.bincount(places.ravel(), minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes) / len(predicted)


def votes(predictions: NDArray[np.int16], n_classes: int) -> NDArray[np.int64]:
    """Returns the class that most seeds predict (ties: the lower), [samples].

    Classes are 0 to n_classes - 1, predicted ones [seeds, samples].
    """
    counts = [(predictions == number).sum(axis=0) for number in range(n_classes)]
    return np.argmax(counts, axis=0)


@dataclass(frozen=True)
class Calibration:
    """How often a model that is so sure is right.

    Attributes:
        confidence: Mean confidence in each bin; NaN for an empty one, [bins].
        accuracy: Accuracy in each bin; NaN for an empty one, [bins].
        count: Samples in each bin, [bins].
        ece: Expected calibration error: mean |accuracy - confidence| weighted by count.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]
    ece: float


def calibration(probabilities: ArrayLike, targets: ArrayLike, bins: int = 15) -> Calibration:
    """Bins predictions by the probability of the predicted class; seeds are pooled.

    Guo et al. (2017, arXiv 1706.04599): equal-width bins, (low, high] as there. Of binary
    tasks, too, the confidence is the predicted class's, so it is at least one half.

    Args:
        probabilities: [seeds, samples, classes] or [samples, classes], in [0, 1].
        targets: True classes, [samples].
        bins: Number of equal-width bins over [0, 1].
    """
    values = np.asarray(probabilities)
    values = values[np.newaxis] if values.ndim == 2 else values
    confidence = values.max(axis=2).astype(np.float64).ravel()
    right = (values.argmax(axis=2) == np.asarray(targets)).ravel()
    place = bins_of(confidence, bins)
    count = np.bincount(place, minlength=bins)
    sizes = np.where(count > 0, count, np.nan)
    sure = np.bincount(place, weights=confidence, minlength=bins) / sizes
    hit = np.bincount(place, weights=right, minlength=bins) / sizes
    ece = float(np.nansum(np.abs(hit - sure) * count) / count.sum())
    return Calibration(sure, hit, count, ece)


def bins_of(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Returns the equal-width bin (low, high] of each confidence in [0, 1], from 0 on."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


@dataclass(frozen=True)
class Flips:
    """Where a second model decides otherwise than a first one, by true class, mean over seeds.

    Attributes:
        rescued: Samples that only the second has right, [classes].
        lost: Samples that only the first has right, [classes].
    """

    rescued: NDArray[np.float64]
    lost: NDArray[np.float64]


def flips(first: ArrayLike, second: ArrayLike, targets: ArrayLike, n_classes: int) -> Flips:
    """Counts the decisions that a second model (CLIP-IT) flips to right and to wrong.

    Classes are 0 to n_classes - 1, predicted ones [seeds, samples] or [samples], true [samples].

    Raises:
        InputError: Shapes that do not fit, or missing values.
    """
    one, two = correctness(first, targets), correctness(second, targets)
    labels = np.asarray(targets).astype(np.int64)

    def by_class(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(labels, weights=values.mean(axis=0), minlength=n_classes)
        return sums.astype(np.float64)

    return Flips(rescued=by_class(two * (1 - one)), lost=by_class(one * (1 - two)))
