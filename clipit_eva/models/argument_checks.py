"""Checks of the numbers that a module is made with."""

import math

from clipit_eva.errors import InputError


def check_ranges(distill_weight: float, word_dropout: float) -> None:
    """Raises InputError unless the settings of distillation are in their ranges."""
    if not 0 <= distill_weight < math.inf:
        raise InputError(f"DISTILL_WEIGHT={distill_weight} must be a number of at least 0")
    if not 0 <= word_dropout < 1:
        raise InputError(f"WORD_DROPOUT={word_dropout} must lie in [0, 1)")


def check_widths(**widths: int) -> None:
    """Raises InputError unless all layers have at least one unit."""
    for name, value in widths.items():
        if value < 1:
            raise InputError(f"{name}={value} must be at least 1")
