"""What is refused, by an InputError, before anything runs."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.tasks.card import PROMPTS

from . import variables
from .job import METHODS, Grid
from .plan_file import Factor, Plan, Selection

REPLACED_SHARE = "REPLACED_SHARE"
"""A factor that no config reads: the share of pairs replaced at random, in [0, 1]."""

RECIPE = "RECIPE"
"""Another one: `authors` trains CLIP-IT by the authors' configs."""


def check_selections(plan: Plan, used: Collection[Selection]) -> None:
    """Refuses selections that select nothing: most likely a name is misspelt."""
    for number, selection in enumerate(plan.exclude):
        if selection not in used:
            raise InputError(f"exclude[{number}] matches no job; check its names")
    for number, factor in enumerate(plan.include):
        for kind in ("task", "backbone"):
            for name in getattr(factor.where, f"{kind}s"):
                if name not in getattr(plan, f"{kind}s"):
                    raise InputError(f"include[{number}].{kind}: there is no {kind} {name!r}")


def check_variables(plan: Plan, variations: Sequence[Factor]) -> None:
    """Refuses variables that no config in question reads, and those that the grid sets."""
    everywhere = plan.variables("pairing", *METHODS) | variables.OF_THE_PROCESS
    everywhere |= {REPLACED_SHARE, RECIPE}
    _check(plan.environment, everywhere, "environment", "variable")
    for section in ("tasks", "backbones", "methods"):
        for name, environment in getattr(plan, section).items():
            _check(environment, everywhere, f"{section}.{name}", "variable")
    for variation in variations:
        with_text = () if variation.method == "unimodal" else ("pairing",)
        known = plan.variables(variation.method, *with_text) | (
            {REPLACED_SHARE, RECIPE} if with_text else set()
        )
        _check(variation.environment, known, f"arm {variation.name}", "factor")


def check_search(plan: Plan) -> None:
    """Refuses a search that has not one task and one backbone, all their jobs, and CLIP-IT.

    So it does variables of the space that no config of CLIP-IT reads.
    """
    if plan.search is None:
        return
    for kind, names in (("tasks", plan.tasks), ("backbones", plan.backbones)):
        if len(names) > 1:
            raise InputError(
                f"search: {kind} are {', '.join(names)}; a search has one of them, so write a plan "
                "for each"
            )
    if plan.exclude:
        raise InputError("search: trials are compared with all runs of a plan; leave exclude out")
    if "clip_it" not in plan.methods:
        raise InputError("search: methods lacks clip_it, whose settings are searched; add it")
    _check(plan.search.space, plan.variables("clip_it", "pairing"), "search.space", "variable")


def _check(environment: Mapping[str, Any], known: Collection[str], at: str, kind: str) -> None:
    for name in environment:
        if name in variables.OF_THE_GRID:
            raise InputError(
                f"{at}: {name} is set by the grid, or two jobs would write one folder; leave it out"
            )
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "no config in question reads it"
            raise InputError(f"{at}: unknown {kind} {name}; {hint}")


def check_inputs(grid: Grid) -> None:
    """Refuses a grid whose images or reports are not there; a message names the variable."""
    for job in grid.jobs.values():
        of_eva = job.command[1:2] in (("fit",), ("predict",))
        names = (["DATA_ROOT"] if of_eva else []) + (["REPORTS"] if job.kind == "pairing" else [])
        for name in names:
            value = job.environment.get(name)
            if value is None:
                raise InputError(f"job {job.name}: {name} is not set; set it in `environment`")
            drawn = Path(value).is_relative_to(grid.folder)
            downloads = name == "DATA_ROOT" and job.environment.get("DOWNLOAD_DATA") == "true"
            if not (drawn or downloads or value.startswith(PROMPTS) or Path(value).exists()):
                raise InputError(f"job {job.name}: {name}={value} does not exist; check the path")
