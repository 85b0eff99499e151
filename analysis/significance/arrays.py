"""Checks of what the tests are given: seeds x samples values, labels, per-seed scores."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from clipit_eva.errors import InputError

FloatArray = NDArray[np.float64]


def seeds_by_samples(values: ArrayLike, name: str) -> FloatArray:
    """Returns values as float64 [seeds, samples]; one seed may be given as [samples].

    Raises:
        InputError: Another number of dimensions, nothing in it, or NaN or infinite values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}: give [seeds, samples], not empty")
    return _finite(array, name, "runs")


def vector(values: ArrayLike, name: str) -> FloatArray:
    """Returns values as a finite float64 vector.

    Raises:
        InputError: Not one-dimensional, empty, or NaN or infinite values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{name} has shape {array.shape}: give one value per entry, not empty")
    return _finite(array, name, "entries")


def _finite(array: FloatArray, name: str, what: str) -> FloatArray:
    """Returns an array without NaN and infinite values; raises InputError for others."""
    if not np.isfinite(array).all():
        raise InputError(f"{name} contains NaN or infinite values: remove or repair those {what}")
    return array


def pair_of_vectors(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Returns two finite vectors of one length, e.g. one score per seed and arm.

    Raises:
        InputError: As `vector`, or different lengths.
    """
    one, two = vector(first, "first"), vector(second, "second")
    if len(one) != len(two):
        raise InputError(f"first has {len(one)} values, second {len(two)}: pair them by seed")
    return one, two


def pair_of_arms(
    first: ArrayLike, second: ArrayLike, *, paired_seeds: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Returns two arms as float64 [seeds, samples] with the same samples.

    Raises:
        InputError: As `seeds_by_samples`, or the arms differ in samples or (when paired) seeds.
    """
    one, two = seeds_by_samples(first, "first"), seeds_by_samples(second, "second")
    if one.shape[1] != two.shape[1]:
        raise InputError(
            f"first has {one.shape[1]} samples, second {two.shape[1]}: align both by sample id"
        )
    if paired_seeds and one.shape[0] != two.shape[0]:
        raise InputError(
            f"first has {one.shape[0]} seeds, second {two.shape[0]}: give the same seeds, "
            "or use the unpaired test"
        )
    return one, two


def codes(labels: ArrayLike, n_samples: int, name: str) -> tuple[NDArray[np.int64], int]:
    """Returns labels as integers 0..K-1 and K, the number of distinct labels present.

    Raises:
        InputError: Not one label per sample, or a missing label.
    """
    array = np.asarray(labels)
    if array.shape != (n_samples,):
        raise InputError(f"{name} has shape {array.shape}: give one label for each of the "
                         f"{n_samples} samples")  # fmt: skip
    integers, uniques = pd.factorize(array)
    if (integers < 0).any():
        raise InputError(f"{name} has missing labels: fill them in or leave {name} out")
    return integers.astype(np.int64), len(uniques)


def correctness(predictions: ArrayLike, targets: ArrayLike) -> FloatArray:
    """Returns 1.0 where the prediction is the target, else 0.0, as [seeds, samples].

    Args:
        predictions: Predicted classes, [seeds, samples] or [samples].
        targets: True classes, [samples].

    Raises:
        InputError: Shapes that do not fit, or missing values.
    """
    predicted, truth = np.asarray(predictions), np.asarray(targets)
    if predicted.ndim == 1:
        predicted = predicted[np.newaxis]
    if truth.ndim != 1 or predicted.ndim != 2 or predicted.shape[1] != len(truth):
        raise InputError(
            f"predictions have shape {predicted.shape} and targets {truth.shape}: "
            "give [seeds, samples] and [samples]"
        )
    if pd.isna(predicted).any() or pd.isna(truth).any():
        raise InputError("predictions or targets are missing for some samples: repair those runs")
    return (predicted == truth).astype(np.float64)


def binary(values: FloatArray, name: str) -> NDArray[np.bool_]:
    """Returns 0/1 values as booleans.

    Raises:
        InputError: Any other value.
    """
    if not np.isin(values, (0.0, 1.0)).all():
        raise InputError(f"{name} must hold only 0 (wrong) and 1 (right)")
    return values.astype(bool)
