"""The `search` section of plans: what it says, and what is refused before anything runs."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.plan_file import Plan, Selection, read_plan
from clipit_eva.analysis.grid.search.search_settings import (
    Choices,
    Interval,
    SearchSettings,
    read_settings,
)
from clipit_eva.errors import InputError

SMALL = """
trials: 8
space:
  LORA_RANK: {low: 4, high: 64, log: true}
  LORA_ALPHA: {low: 2, high: 64, step: 2}
  LR_VALUE: {low: 0.0001, high: 0.01, log: true}
  LORA_DROPOUT: {low: 0, high: 0.5}
  LORA_TARGETS: [[Linear], [Linear, Conv2d]]
  LORA_TEXT: [true, false]
"""


def test_a_search_is_what_its_section_says() -> None:
    settings = read_settings(yaml.safe_load(SMALL))
    assert settings == SearchSettings(
        space={
            "LORA_RANK": Interval(4, 64, log=True),
            "LORA_ALPHA": Interval(2, 64, step=2),
            "LR_VALUE": Interval(0.0001, 0.01, log=True),
            "LORA_DROPOUT": Interval(0, 0.5),
            "LORA_TARGETS": Choices(("[Linear]", "[Linear, Conv2d]")),
            "LORA_TEXT": Choices((True, False)),
        },
        trials=8,
    )
    whole = {n for n, d in settings.space.items() if isinstance(d, Interval) and d.whole}
    assert whole == {"LORA_RANK", "LORA_ALPHA"}


def test_everything_can_be_set() -> None:
    text = SMALL + "seed: 7\nstartup: 3\nmetric: val/AverageLoss\ndirection: minimize\n"
    settings = read_settings(yaml.safe_load(text))
    assert (settings.seed, settings.startup) == (7, 3)
    assert (settings.metric, settings.direction) == ("val/AverageLoss", "minimize")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("trials: 8", "trial: 8", ["search.trial is unknown", "trials"]),
        ("trials: 8", "", ["search.trials", "at least 1"]),
        ("trials: 8", "trials: 0", ["search.trials", "0"]),
        ("trials: 8", "trials: 8\nseed: -1", ["search.seed", "-1"]),
        ("trials: 8", "trials: 8\nstartup: 0", ["search.startup", "0"]),
        ("trials: 8", "trials: 8\ndirection: up", ["search.direction", "'up'", "maximize"]),
        ("trials: 8", "trials: 8\nmetric: test/Accuracy", ["search.metric", "test", "val/"]),
        ("trials: 8", "trials: 8\nmetric: 1", ["search.metric", "val/"]),
        ("low: 4", "lowest: 4", ["search.space.LORA_RANK.lowest is unknown", "low"]),
        ("low: 4, ", "", ["search.space.LORA_RANK", "low and high"]),
        ("low: 4", "low: 64", ["search.space.LORA_RANK", "below high"]),
        ("low: 4", "low: 0", ["search.space.LORA_RANK", "log", "above 0"]),
        ("low: 4", "low: four", ["search.space.LORA_RANK.low", "'four'"]),
        ("low: 4", "low: .nan", ["search.space.LORA_RANK.low", "nan"]),
        ("high: 64, log: true", "high: 64, log: 1", ["search.space.LORA_RANK.log", "1"]),
        ("step: 2", "step: 2, log: true", ["search.space.LORA_ALPHA", "no step"]),
        ("step: 2", "step: 100", ["search.space.LORA_ALPHA.step", "100"]),
        ("[[Linear], [Linear, Conv2d]]", "[]", ["search.space.LORA_TARGETS", "empty"]),
        (
            "[[Linear], [Linear, Conv2d]]",
            "[[Linear], [Linear]]",
            ["search.space.LORA_TARGETS", "[Linear]", "repeated"],
        ),
        ("[true, false]", "true", ["search.space.LORA_TEXT", "list of choices"]),
    ],
)
def test_a_wrong_search_is_refused_in_one_line(old: str, new: str, words: list[str]) -> None:
    assert old in SMALL
    with pytest.raises(InputError) as refusal:
        read_settings(yaml.safe_load(SMALL.replace(old, new, 1)))
    message = str(refusal.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(InputError, match=r"search\.space is missing or empty"):
        read_settings({"trials": 3})


def test_a_plan_with_a_wrong_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "seeds: [1]\ntasks: {bach: {cohort: 1}}\nbackbones: {demo: {}}\nmethods: {clip_it: {}}\n"
        "search: {trials: 3}\n"
    )
    with pytest.raises(InputError, match=r"plan\.yaml: search\.space"):
        read_plan(path)


@pytest.fixture
def plan() -> Plan:
    return Plan(
        seeds=(1,),
        tasks={"bach": {}},
        backbones={"demo": {}},
        methods={"clip_it": {}},
        cohorts={"bach": 1},
        search=SearchSettings({"LORA_RANK": Choices((4, 8))}, trials=2),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": {"bach": {}, "crc": {}}}, "search: tasks are bach, crc"),
        ({"backbones": {"a": {}, "b": {}}}, "search: backbones are a, b"),
        ({"exclude": (Selection(seeds=(1,)),)}, "leave exclude out"),
        ({"methods": {"unimodal": {}}}, "search: methods lacks clip_it"),
        (
            {"search": SearchSettings({"LORA_RANKS": Choices((4,))}, trials=1)},
            "search.space: unknown variable LORA_RANKS; did you mean LORA_RANK",
        ),
        (
            {"search": SearchSettings({"OUTPUT_ROOT": Choices(("a",))}, trials=1)},
            "search.space: OUTPUT_ROOT is set by the grid",
        ),
    ],
)
def test_a_search_without_a_place_is_refused(
    plan: Plan, tmp_path: Path, changes: dict, words: str
) -> None:
    assert expand(plan, tmp_path).jobs
    with pytest.raises(InputError) as refusal:
        expand(dataclasses.replace(plan, **changes), tmp_path)
    assert words in str(refusal.value)
