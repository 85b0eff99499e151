"""Arms of a plan, before anything runs."""

from pathlib import Path

import pytest
import yaml

from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.plan_file import read_plan
from clipit_eva.analysis.grid.plan.planned_arms import planned_arms
from clipit_eva.errors import InputError

PLAN = {
    "seeds": [1, 2],
    "tasks": {"bach": {"cohort": 1}},
    "backbones": {"demo": {}},
    "methods": {"unimodal": {}, "clip_it": {"LORA_RANK": 8}},
}


def grid_of(tmp_path: Path, **changes):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, **changes}))
    return expand(read_plan(path), tmp_path / "grid")


def test_the_method_itself_is_the_base(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, factors={"rank": {"LORA_RANK": [4, 16]}})
    arms = planned_arms(grid)
    found = {grid.jobs[digest].name: arm.name for digest, arm in arms.items()}
    assert found["clip_it/bach/demo/seed_1"] == "clip_it"
    assert found["clip_it/bach/demo/rank_4/seed_2"] == "rank_4"
    assert found["clip_it/bach/demo/rank_16/seed_1"] == "rank_16"
    assert found["unimodal/bach/demo/seed_2"] == "unimodal"


def test_runs_that_no_report_could_tell_apart_are_refused(tmp_path: Path) -> None:
    """Jobs by what their configs read; arms by what has an effect."""
    factors = {"a": {"LORA_VISION": False}, "b": {"LORA_VISION": False, "LORA_RANK": 4}}
    with pytest.raises(InputError, match="would both be the arm 'no_lora'"):
        planned_arms(grid_of(tmp_path, factors=factors))
