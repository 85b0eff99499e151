"""What a check for leakage found."""

from dataclasses import dataclass
from typing import Literal

Found = Literal["no", "yes", "not known"]


ROLES = {"train": "training", "val": "validation", "test": "test"}
"""What a run's data are for, by their names in its configuration."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked for, in words.
        found: Whether it was found; `not known` if the files do not tell.
        detail: Numbers, an example, or why it is not known.
    """

    check: str
    found: Found
    detail: str
