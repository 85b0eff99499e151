"""What a search for hyperparameters is told: the `search` section of a plan."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from clipit_eva.errors import InputError

from ..plan.fields import check_keys, integer, mapping, number
from ..plan.variables import as_text

Value = bool | int | float | str
"""A value of a variable; a list or mapping is its text in YAML."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """A variable that takes one of some values, at least one."""

    values: tuple[Value, ...]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A variable that takes any number from low to high; whole ones if these are whole.

    With `log` numbers are drawn evenly in their logarithm; a `step` is their distance, from `low`.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers alone."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step) if n is not None)


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """A search for hyperparameters of CLIP-IT; see `read_settings` for the file's form.

    Attributes:
        space: The variables that are searched.
        trials: Number of settings that are tried in all.
        startup: How many of them are drawn at random before the sampler learns from them.
        seed: Seed of the sampler.
        metric: Validation metric that is optimised; None means the one that selects checkpoints.
        direction: Whether much or little of it is good.
    """

    space: Mapping[str, Choices | Interval]
    trials: int
    startup: int = 10
    seed: int = 1
    metric: str | None = None
    direction: Literal["maximize", "minimize"] = "maximize"


def read_settings(content: Mapping[str, Any]) -> SearchSettings:
    """Reads the `search` section of a plan.

    Args:
        content: `trials`; `space`, from variables to a list of choices or to `low`, `high` and if
            wanted `log` and `step`; if wanted `startup`, `seed`, `metric` (`val/...`) and
            `direction` (`maximize` or `minimize`).

    Raises:
        InputError: A key is unknown or missing, or a value is out of range.
    """
    check_keys(content, [field.name for field in dataclasses.fields(SearchSettings)], "search.")
    space = mapping(content.get("space"), "search.space")
    if not space:
        raise InputError("search.space is missing or empty; give variables and their values")
    own = {"trials": None, **content}
    for name, least in (("trials", 1), ("startup", 1), ("seed", 0)):
        if name in own:
            integer(own[name], f"search.{name}", least)
    direction = own.get("direction", "maximize")
    if direction not in ("maximize", "minimize"):
        raise InputError(f"search.direction is {direction!r}; it must be maximize or minimize")
    metric = own.get("metric")
    if metric is not None and not (isinstance(metric, str) and metric.startswith("val/")):
        raise InputError(
            f"search.metric is {metric!r}; it must be a validation metric (val/...): "
            "what is chosen by test data cannot be tested on them"
        )
    dimensions = {name: _dimension(value, f"search.space.{name}") for name, value in space.items()}
    return SearchSettings(**{**own, "space": dimensions})


def _dimension(value: Any, at: str) -> Choices | Interval:
    if isinstance(value, list):
        return _choices(value, at)
    if not isinstance(value, dict):
        raise InputError(f"{at} is {value!r}; give a list of choices, or low and high")
    check_keys(value, [field.name for field in dataclasses.fields(Interval)], f"{at}.")
    low, high, step = (
        None if value.get(key) is None else number(value[key], f"{at}.{key}")
        for key in ("low", "high", "step")
    )
    log = value.get("log", False)
    if not isinstance(log, bool):
        raise InputError(f"{at}.log is {log!r}; it must be true or false")
    if low is None or high is None or not low < high:
        raise InputError(f"{at} needs low and high, and low must be below high")
    if log and (low <= 0 or step is not None):
        raise InputError(f"{at}: log needs low above 0 and no step")
    if step is not None and not 0 < step <= high - low:
        raise InputError(f"{at}.step is {step}; it must be above 0 and fit between low and high")
    return Interval(low, high, log, step)


def _choices(values: list[Any], at: str) -> Choices:
    if not values:
        raise InputError(f"{at} is empty; give at least one choice")
    texts = [as_text(value) for value in values]
    for text in texts:
        if texts.count(text) > 1:
            raise InputError(f"{at}: {text} is repeated; choices must differ")
    scalars = (bool, int, float, str)
    pairs = zip(values, texts, strict=True)
    return Choices(tuple(v if isinstance(v, scalars) else text for v, text in pairs))
