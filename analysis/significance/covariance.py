"""How far estimates of several seeds vary together over new test samples or new slides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import FloatArray, codes
from .rules import cluster_refusal


@dataclass(frozen=True)
class CaseCovariance:
    """Means of several rows of values and their covariance over samples ("cases").

    Attributes:
        theta: The mean (or the mean of class means) of each row, [rows].
        covariance: Covariance of the entries of `theta`, [rows, rows].
        df_cases: Degrees of freedom of the covariance: samples - classes, or clusters - 1.
        n_samples: Number of samples.
        n_clusters: Number of clusters; None if samples are taken as independent.
        refused: Why the covariance must not be used, or None.
    """

    theta: FloatArray
    covariance: FloatArray
    df_cases: int
    n_samples: int
    n_clusters: int | None
    refused: str | None

    @property
    def se_of_mean(self) -> float:
        """Standard error of the mean of `theta` over new samples, for these very models."""
        return float(np.sqrt(max(self.covariance.mean(), 0.0)))


def case_covariance(
    values: FloatArray, classes: ArrayLike | None = None, clusters: ArrayLike | None = None
) -> CaseCovariance:
    """Estimates means of rows and the covariance of those means over samples or clusters.

    Each sample's share in a row's mean is linearised; shares are summed within a cluster, and
    their cross products over units (samples within a class, or clusters) give the covariance
    with the usual n / (n - 1).

    Args:
        values: [rows, samples], finite.
        classes: True class of each sample; given, a mean is the mean of class means (balanced
            accuracy) over the classes present, and samples count as drawn within class.
        clusters: Slide or patient of each sample; given, whole clusters count as drawn.

    Raises:
        InputError: `classes` or `clusters` of another length or with missing labels.
    """
    n_samples = values.shape[1]
    if classes is None:
        labels, n_classes = np.zeros(n_samples, dtype=np.int64), 1
    else:
        labels, n_classes = codes(classes, n_samples, "classes")
    sizes = np.bincount(labels, minlength=n_classes).astype(np.float64)
    means = _sums(values, labels, n_classes) / sizes
    shares = (values - means[:, labels]) / (n_classes * sizes)[labels]
    theta = means.mean(axis=1)
    if clusters is not None:
        groups, n_clusters = codes(clusters, n_samples, "clusters")
        totals = _sums(shares, groups, n_clusters)
        scale = n_clusters / (n_clusters - 1) if n_clusters > 1 else 0.0
        refused = cluster_refusal(n_clusters)
        covariance = scale * totals @ totals.T
        return CaseCovariance(theta, covariance, n_clusters - 1, n_samples, n_clusters, refused)
    refused = None
    if (sizes < 2).any():
        refused = "a class has one test sample: its sampling variance is unknown"
        sizes = np.maximum(sizes, 2)
    shares *= np.sqrt(sizes / (sizes - 1))[labels]
    return CaseCovariance(theta, shares @ shares.T, n_samples - n_classes, n_samples, None, refused)


def mean_off_diagonal(matrix: FloatArray) -> float:
    """Returns the mean of a square matrix's entries off the diagonal."""
    size = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (size * (size - 1)))


def _sums(values: FloatArray, labels: NDArray[np.int64], n_labels: int) -> FloatArray:
    """Returns the sums of values [rows, samples] over the samples of each label, [rows, labels]."""
    sums = [np.bincount(labels, weights=row, minlength=n_labels) for row in values]
    return np.stack(sums).astype(np.float64)
