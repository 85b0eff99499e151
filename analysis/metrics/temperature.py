"""Temperature scaling: one number, fitted on validation samples, that makes a model less sure.

Guo et al. (2017, arXiv 1706.04599, section 4.2). Classes keep their order, so that decisions stay.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Stands for a float32 probability that has become 0."""

_BOUNDS = (-5.0, 5.0)
"""Of the temperature's natural logarithm."""


def fit_temperature(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Returns the temperature with the least cross-entropy, between exp(-5) and exp(5).

    Args:
        probabilities: Of validation samples, [samples, classes].
        targets: Their true classes, [samples].
    """
    logits = _logits(probabilities)
    true = np.asarray(targets)[:, np.newaxis]

    def loss(log_temperature: float) -> float:
        scaled = special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(np.take_along_axis(scaled, true, axis=1).mean())

    found = optimize.minimize_scalar(loss, bounds=_BOUNDS, method="bounded")
    return float(np.exp(found.x))


def scaled(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Returns probabilities [..., classes] at a temperature; above 1 they are less sure."""
    return special.softmax(_logits(probabilities) / temperature, axis=-1)


def _logits(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Returns logits that give these probabilities, as far as float32 kept them."""
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST))
