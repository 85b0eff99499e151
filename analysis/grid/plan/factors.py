"""The variations of a plan: its methods, and factors that vary one of them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipit_eva.errors import InputError

from . import variables
from .plan_file import Factor, Plan, Selection

CONTRASTS = {
    "no_text": {"DISTILL_WEIGHT": "0"},
    "shuffled_pairs": {"PAIRING_POLICY": "shuffled"},
}
"""Arms without which a gain of CLIP-IT cannot be told to be the text's, or the right pairs'."""


OF_LABELS = ("LABELS_PER_CLASS", "LABELS_SEED")
"""Variables of how many images are labelled, and which: the same for all arms of a comparison."""


def variations_of(plan: Plan) -> Iterator[Factor]:
    """Yields a plan's variations: its methods, its factors with lists unrolled, what it includes.

    A plan with CLIP-IT gets the arms of `CONTRASTS` as well, unless it says `contrasts: false` or
    has them under another name; trials of a search have nothing to be contrasted with.

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
    listed = [*methods, *factors, *included]
    wanted = plan.contrasts and plan.search is None and "clip_it" in plan.methods
    for variation in (*listed, *(_not_among(listed) if wanted else ())):
        if variation.name in names:
            raise InputError(
                f"there are two arms {variation.name!r}: jobs would write one folder; rename one"
            )
        names.add(variation.name)
        yield variation


def with_labels(plan: Plan, variation: Factor) -> list[Factor]:
    """Returns a variation with each number of labels that a plan trains its arms on."""
    own = variation.environment
    if "LABELS_PER_CLASS" in own or not plan.labels_per_class:
        return [variation]
    return [
        replace(variation, environment={**own, "LABELS_PER_CLASS": "null" if n is None else n})
        for n in plan.labels_per_class
    ]


def _not_among(variations: Sequence[Factor]) -> list[Factor]:
    """Returns the arms of `CONTRASTS` that none of some variations trains everywhere."""
    known = [
        {key: variables.as_text(value) for key, value in one.environment.items()}
        for one in variations
        if one.method == "clip_it" and one.where == Selection()
    ]
    return [
        Factor(name=name, environment=environment)
        for name, environment in CONTRASTS.items()
        if environment not in known
    ]


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
