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
        df_unequal: Those that clusters of unequal size and mix of classes are worth, at most
            `df_cases`, by Satterthwaite's formula for clusters of equal variance; without
            clusters `df_cases`.
        n_samples: Number of samples.
        n_clusters: Number of clusters; None if samples are taken as independent.
        refused: Why the covariance must not be used, or None.
    """

    theta: FloatArray
    covariance: FloatArray
    df_cases: int
    df_unequal: float
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

    Without clusters, each sample's share in a row's mean is linearised, and the shares' cross
    products over the samples of a class give the covariance with the usual n / (n - 1). With
    clusters it is the delete-one-cluster jackknife (Efron and Stein 1981, Ann. Stat. 9:586), which
    keeps its level where clusters are few and differ in size and mix of classes; linearised sums
    do not.

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
    theta = means.mean(axis=1)
    if clusters is not None:
        groups, n_clusters = codes(clusters, n_samples, "clusters")
        covariance, counts = _jackknife(values, theta, labels, groups, n_classes, n_clusters)
        alone = (counts == sizes).any(axis=0)
        refused = cluster_refusal(n_clusters)
        if refused is None and classes is not None and alone.any():
            name = np.asarray(classes)[np.isin(labels, np.flatnonzero(alone))][0]
            refused = f"class {name} sits in one slide only: its variance over slides is unknown"
        df, squares = n_clusters - 1, (counts / sizes).mean(axis=1) ** 2
        worth = min(df, float(squares.sum() ** 2 / (squares**2).sum()))
        return CaseCovariance(theta, covariance, df, worth, n_samples, n_clusters, refused)
    shares = (values - means[:, labels]) / (n_classes * sizes)[labels]
    refused = None
    if (sizes < 2).any():
        refused = "a class has one test sample: its sampling variance is unknown"
        sizes = np.maximum(sizes, 2)
    shares *= np.sqrt(sizes / (sizes - 1))[labels]
    df = n_samples - n_classes
    return CaseCovariance(theta, shares @ shares.T, df, df, n_samples, None, refused)


def _jackknife(
    values: FloatArray,
    theta: FloatArray,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    n_classes: int,
    n_clusters: int,
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Returns the delete-one-cluster covariance of means of class means [rows, rows].

    Also the number of samples of each cluster and class [clusters, classes].
    """
    cells, shape = groups * n_classes + labels, (n_clusters, n_classes)
    counts = np.bincount(cells, minlength=n_clusters * n_classes).reshape(shape)
    totals = _sums(values, cells, n_clusters * n_classes).reshape(-1, *shape)
    left = counts.sum(axis=0) - counts
    without = (totals.sum(axis=1, keepdims=True) - totals) / np.maximum(left, 1)
    deviations = without.mean(axis=2) - theta[:, np.newaxis]
    covariance = (n_clusters - 1) / n_clusters * deviations @ deviations.T
    return covariance, counts


def mean_off_diagonal(matrix: FloatArray) -> float:
    """Returns the mean of a square matrix's entries off the diagonal."""
    size = len(matrix)
    return float((matrix.sum() - np.trace(matrix)) / (size * (size - 1)))


def _sums(values: FloatArray, labels: NDArray[np.int64], n_labels: int) -> FloatArray:
    """Returns the sums of values [rows, samples] over the samples of each label, [rows, labels]."""
    sums = [np.bincount(labels, weights=row, minlength=n_labels) for row in values]
    return np.stack(sums).astype(np.float64)
