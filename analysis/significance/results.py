"""What every analysis returns: frozen values that carry their own refusal and warnings."""

from dataclasses import dataclass

Interval = tuple[float, float]

OPTIMISTIC = "patch-level, optimistic"
"""The mark of every interval that treats patches as independent because no slide ids are known."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is common to all results.

    Fields are called the same in all of them: `n` or `n_...` are numbers, `estimate` (or a mean) is
    the difference first - second, as a fraction, `se` its standard error, `t` or `z` estimate / se,
    `df` the degrees of freedom, `p` two-sided, `ci95` the 95% interval.

    Attributes:
        refused: Why no p-value or interval is given, in words for a table's footnote; None if
            they are given. Fields that the refusal concerns are None.
        warnings: What a reader must know before trusting the numbers, each one clause.
    """

    refused: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TTest(Result):
    """A result of a t test: None where it is refused."""

    t: float | None = None
    df: float | None = None
    p: float | None = None
    ci95: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class OfSamples(Result):
    """A result for new test samples, or for new slides where it is known where samples are from.

    Attributes:
        n_clusters: Number of slides or patients; None if their ids were not given.
    """

    n_clusters: int | None = None

    @property
    def mark(self) -> str | None:
        """The mark to print beside the interval, or None."""
        return OPTIMISTIC if self.n_clusters is None else None


def interval(estimate: float, standard_error: float, critical_value: float) -> Interval:
    """Returns the symmetric interval estimate -+ critical value x standard error."""
    half = critical_value * standard_error
    return (float(estimate - half), float(estimate + half))
