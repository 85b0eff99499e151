"""What every analysis returns: frozen values that carry their own refusal and warnings."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

OPTIMISTIC = "patch-level, optimistic"
"""The mark of every interval that treats patches as independent because no slide ids are known."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is common to all results.

    Attributes:
        refused: Why no p-value or interval is given, in words for a table's footnote; None if
            they are given. Fields that the refusal concerns are None.
        warnings: What a reader must know before trusting the numbers, each one clause.
    """

    refused: str | None = None
    warnings: tuple[str, ...] = ()


def as_record(result: Result) -> dict[str, Any]:
    """Returns a result as a flat row: intervals become `<name>_low` and `<name>_high`.

    Fields that are themselves results are flattened with their name as prefix; warnings are
    joined with "; ".
    """
    record: dict[str, Any] = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Result):
            nested = as_record(value).items()
            record.update({f"{field.name}_{name}": inner for name, inner in nested})
        elif field.name == "warnings":
            record["warnings"] = "; ".join(value)
        elif field.name.startswith("ci") or "_ci" in field.name:
            low, high = (None, None) if value is None else value
            record[f"{field.name}_low"], record[f"{field.name}_high"] = low, high
        else:
            record[field.name] = value
    return record


def frame(results: Mapping[Any, Result], index_name: str | None = None) -> pd.DataFrame:
    """Returns named results of one kind as a DataFrame, one row each, indexed by the names."""
    index = pd.Index(list(results), name=index_name)
    return pd.DataFrame([as_record(result) for result in results.values()], index=index)


def interval(estimate: float, standard_error: float, critical_value: float) -> tuple[float, float]:
    """Returns the symmetric interval estimate -+ critical value x standard error."""
    half = critical_value * standard_error
    return (float(estimate - half), float(estimate + half))


def finite_or_none(value: float) -> float | None:
    """Returns None for NaN and infinities: an undefined quantity must not travel as a number."""
    return float(value) if np.isfinite(value) else None
