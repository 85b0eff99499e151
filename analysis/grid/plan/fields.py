"""Values of a plan's file: an InputError names the place of one that is wrong."""

import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any

from clipit_eva.errors import InputError


def check_keys(value: Mapping[str, Any], known: Collection[str], at: str = "") -> None:
    """Refuses a key that is not known; a message says it behind `at`, such as `report.`."""
    for key in value:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InputError(f"{at}{key} is unknown; {hint}")


def integer(value: Any, at: str, least: int) -> int:
    """Returns a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{at} is {value!r}; it must be a whole number of at least {least}")
    return value


def number(value: Any, at: str, above: float | None = None) -> int | float:
    """Returns a finite number, above some bound if there is one."""
    wrong = isinstance(value, bool) or not isinstance(value, int | float)
    if wrong or not math.isfinite(value) or (above is not None and value <= above):
        wanted = "a number" if above is None else f"a number above {above}"
        raise InputError(f"{at} is {value!r}; it must be {wanted}")
    return value


def mapping(value: Any, at: str) -> Mapping[str, Any]:
    """Returns a mapping with names as keys, an empty one for None."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{at} must be a mapping with names as keys")
    return value
