"""`clipit-eva power`: the smallest gain that a plan's seeds and test sets can show."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from clipit_eva.data.groups import groups_of
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.tasks import configs
from clipit_eva.tasks.card import read_card, shipped_cards

from ..leakage.split_images import open_dataset
from ..reading.slides import meta_file_below, slide_names
from ..significance.attribution import CONFIRMATORY, LEVEL
from ..significance.power import Assumptions
from ..significance.rules import MIN_SEEDS
from .plan.plan_file import Plan, plan_path, read_plan
from .plan.variables import as_text

SEEDS = (5, 10, math.inf)
"""Numbers of seeds that are told beside the plan's; infinitely many leave the test set's wall."""


_FLAGS = {"samples": "--test-size", "classes": "--classes", "slides": "--slides"}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers of test samples, classes and slides; None for what is to be found out."""

    samples: int | None = None
    classes: int | None = None
    slides: int | None = None


def power(source: str, given: Sizes, assumed: Assumptions | None = None) -> str:
    """Returns what each task of a plan can show, as text.

    Args:
        source: The plan's file, or the name of a shipped one.
        given: Sizes of the test set of a plan of one task; what is None is read from the dataset
            below the plan's DATA_ROOT, and classes from the task's card.
        assumed: What cannot be known before any run.

    Raises:
        InputError: The plan is wrong; no task's dataset is there, or large enough to test on; or
            sizes are given for a plan of several tasks.
    """
    for name, value in dataclasses.asdict(given).items():
        if value is not None and value < 1:
            raise InputError(f"{_FLAGS[name]} {value} must be at least 1")
    plan, assumed = read_plan(plan_path(source)), assumed or Assumptions()
    if given != Sizes() and len(plan.tasks) > 1:
        raise InputError(
            f"{source} has the tasks {', '.join(plan.tasks)}, and sizes are given of one; leave "
            "them out, or write a plan for each task"
        )
    tests = len(plan.tasks) * len(CONFIRMATORY)
    rows, untold = [], []
    for task in plan.tasks:
        try:
            rows.append(_row(plan, task, given, assumed, tests))
        except InputError as error:
            untold.append(f"Not told of task {task}: {error}.")
            if len(untold) == len(plan.tasks):
                raise InputError(f"task {task}: {error}") from None
    return "\n".join(
        [
            "Smallest true gain that 80% of studies would detect (two-sided p below "
            f"{LEVEL:g}), in points of balanced accuracy,",
            f"as the mean over the plan's backbones ({len(plan.backbones)}). Infinitely many seeds "
            "leave the wall that the test set sets.",
            "",
            pd.DataFrame(rows).to_string(index=False),
            "",
            f"Holm: to pass its first step, over method and text of all tasks ({tests} tests).",
            *untold,
            *_assumptions(assumed),
        ]
    )


def _row(plan: Plan, task: str, given: Sizes, assumed: Assumptions, tests: int) -> dict[str, str]:
    """Returns a task's row as printed."""
    sizes, own = _sizes(plan, task, given), len(plan.seeds)
    samples, classes = int(sizes.samples or 0), int(sizes.classes or 0)
    expected = assumed.variances(samples, classes, sizes.slides, len(plan.backbones))

    def gain(seeds: float, level: float = LEVEL) -> str:
        if seeds < MIN_SEEDS:
            return "not tested"
        return f"{100 * expected.detectable(seeds, level):.1f}"

    names = {math.inf: "infinitely many"}
    return {
        "task": task,
        "test images": f"{samples:,}",
        "classes": str(classes),
        "slides": "unknown" if sizes.slides is None else f"{sizes.slides:,}",
        f"plan: {own} seeds": gain(own),
        "with Holm": gain(own, LEVEL / tests),
        **{names.get(seeds, f"{seeds} seeds"): gain(seeds) for seeds in SEEDS},
    }


def _sizes(plan: Plan, task: str, given: Sizes) -> Sizes:
    """Returns a task's sizes: those given, else those on disk."""
    card = read_card(plan.cards.get(task) or shipped_cards()[task])
    classes = len(card.classes) if given.classes is None else given.classes
    if given.samples is not None:
        return Sizes(given.samples, classes, given.slides)
    if task in plan.cohorts:
        raise InputError("its images are drawn by the plan; give --test-size")
    values = {**plan.environment, **plan.tasks[task]}
    environment = {name: as_text(value) for name, value in values.items()}
    config = RecordedConfig(configs.resolved(plan.config("unimodal", task), environment))
    spec = config.part("data.datasets.test").of_images().innermost
    root, slides = Path(str(spec.get("root"))), given.slides
    try:
        if not root.is_dir():
            raise InputError(f"DATA_ROOT={root} does not exist")
        dataset = open_dataset(spec, root)
    except InputError as error:
        raise InputError(f"{error}; give --test-size, or its data") from None
    meta = meta_file_below([root], str(spec.get("split")))
    if slides is None and meta is not None:
        slides = slide_names(meta).nunique()
    elif slides is None and (groups := groups_of(dataset)) is not None:
        slides = len(set(groups))
    return Sizes(len(dataset), classes, slides)


def _assumptions(assumed: Assumptions) -> Sequence[str]:
    """Returns what is assumed, in words."""
    return (
        "Assumed, as nothing has been trained yet:",
        f"- both arms have {assumed.accuracy:.0%} of the answers right;",
        f"- one of two models is right alone {assumed.discordance:g} times as often as if errors "
        f"were independent, and {assumed.recurring:.0%} of that recurs with every seed;",
        f"- a difference varies by {100 * assumed.seed_sd:g} points (SD) over seeds and by "
        f"{100 * assumed.slide_sd:g} points over slides;",
        f"- classes are equally frequent; unequal slides count as {assumed.unequal:g} times as "
        "many equal ones; without slides, images are independent.",
        "The page of finished runs tells the same from their own variances.",
    )
