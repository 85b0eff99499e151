"""p-values of a family, adjusted for its size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from clipit_eva.errors import InputError

from .arrays import FloatArray
from .results import Result

Method = Literal["holm", "fdr_bh", "fdr_by", "bonferroni"]


@dataclass(frozen=True, kw_only=True)
class AdjustedFamily(Result):
    """A family of p-values after adjustment, in the order given.

    Attributes:
        method: Name of the adjustment; alpha: the level of `reject`.
        size: Number of p-values adjusted for: print it.
        adjusted: Adjusted p of each test; None where it had none.
        reject: Whether the adjusted p is at most alpha; None where it had none.
        left_out: Positions of the tests without a p-value.
    """

    method: Method
    alpha: float
    size: int
    adjusted: tuple[float | None, ...]
    reject: tuple[bool | None, ...]
    left_out: tuple[int, ...]


def adjust(
    pvalues: Sequence[float | None] | ArrayLike, method: Method = "holm", alpha: float = 0.05
) -> AdjustedFamily:
    """Adjusts the p-values of a family; refused tests (None or NaN) are left out of its size.

    Holm ("holm") controls the family-wise error under any dependence: for the headline family.
    Benjamini-Hochberg ("fdr_bh") controls the false discovery rate under positive dependence: for
    exploratory ablations; Benjamini-Yekutieli ("fdr_by") under any dependence.

    Raises:
        InputError: A p-value outside [0, 1], or not a vector.
    """
    values = np.asarray(pvalues, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"pvalues has shape {values.shape}: give one p-value per test")
    present = ~np.isnan(values)
    if ((values[present] < 0) | (values[present] > 1)).any():
        raise InputError("pvalues must lie in [0, 1]")
    adjusted: list[float | None] = [None] * len(values)
    reject: list[bool | None] = [None] * len(values)
    if present.any():
        corrected = _adjusted(values[present], method).tolist()
        for place, p in zip(np.flatnonzero(present), corrected, strict=True):
            adjusted[place], reject[place] = p, p <= alpha
    left_out = tuple(np.flatnonzero(~present).tolist())
    warnings = ()
    if left_out:
        warnings = (f"{len(left_out)} tests without a p-value are not in the family",)
    return AdjustedFamily(
        method=method,
        alpha=alpha,
        size=int(present.sum()),
        adjusted=tuple(adjusted),
        reject=tuple(reject),
        left_out=left_out,
        refused=None if present.any() else "no test of the family has a p-value",
        warnings=warnings,
    )


def _adjusted(pvalues: FloatArray, method: Method) -> FloatArray:
    """Returns the adjusted p of each test [tests], in their order.

    Not by statsmodels: its function collects garbage in each call, a second in a large process.
    """
    if method == "fdr_bh" or method == "fdr_by":
        return stats.false_discovery_control(pvalues, method="bh" if method == "fdr_bh" else "by")
    count = len(pvalues)
    if method == "bonferroni":
        return np.minimum(count * pvalues, 1)
    order = np.argsort(pvalues)
    steps = np.maximum.accumulate((count - np.arange(count)) * pvalues[order])
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted
