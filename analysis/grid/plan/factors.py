"""The variations of a plan: its methods, and factors that vary one of them."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clipit_eva.errors import InputError

from . import variables
from .plan_file import Factor, Plan


def variations_of(plan: Plan) -> Iterator[Factor]:
    """Yields a plan's variations: its methods, its factors with lists unrolled, what it includes.

    Raises:
        InputError: Two of them have one name, or factors extend each other in a circle.
    """
    names: set[str] = set()
    methods = [Factor(name, name=name) for name in plan.methods]
    factors = (
        replace(factor, name=own, environment=environment)
        for name, factor in plan.factors.items()
        for own, environment in _unrolled(name, _inherited(plan, name, factor))
    )
    included = (
        replace(factor, environment=_inherited(plan, factor.name, factor))
        for factor in plan.include
    )
    for variation in (*methods, *factors, *included):
        if variation.name in names:
            raise InputError(
                f"there are two arms {variation.name!r}: jobs would write one folder; rename one"
            )
        names.add(variation.name)
        yield variation


def _inherited(plan: Plan, name: str, factor: Factor) -> dict[str, Any]:
    chain = [name]
    environment = dict(factor.environment)
    while factor.extends is not None:
        chain.append(factor.extends)
        if factor.extends not in plan.factors:
            raise InputError(
                f"factors.{chain[-2]}.extends: there is no factor {chain[-1]!r}; check its name"
            )
        if chain[-1] in chain[:-1]:
            raise InputError(
                f"factors extend each other in a circle: {' -> '.join(chain)}; open it"
            )
        factor = plan.factors[factor.extends]
        environment = {**factor.environment, **environment}
    return environment


def _unrolled(name: str, environment: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and variables for each combination of the items of variables that are lists."""
    lists = {key: value for key, value in environment.items() if isinstance(value, list)}
    if not lists:
        yield name, dict(environment)
        return
    for items in itertools.product(*lists.values()):
        own = dict(zip(lists, items, strict=True))
        words = [variables.as_text(item).strip("[]").replace(", ", "+") for item in items]
        yield "_".join([name, *words]), {**environment, **own}
