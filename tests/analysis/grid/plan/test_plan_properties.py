"""Any plan becomes jobs or an InputError that names the plan's file or a part of it."""

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.plan_file import read_plan
from clipit_eva.errors import InputError

QUICK = settings(derandomize=True, max_examples=120, deadline=None)
RIGHT = {
    "seeds": [1, 2],
    "tasks": {"bach": {"DATA_ROOT": "images"}},
    "backbones": {"demo": {"MODEL_NAME": "clipit_eva/demo_vit", "IN_FEATURES": 96}},
    "methods": {"unimodal": {}, "clip_it": {}},
    "environment": {"REPORTS": "reports.csv"},
}
WORDS = st.sampled_from(
    [
        *("bach", "clip_it", "a", "b", "task", "arm", "seed", "extends", "method", "trials"),
        *("space", "LORA_RANK", "TOP_K", "low", "high", "REPLACED_SHARE", "DISTILL_WEIGHT"),
        *("margin", "cohort", "file", "../x", "", "${seeds}", "${oc.env:NONE}"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        *RIGHT,
        "factors",
        "contrasts",
        "labels_per_class",
        "include",
        "exclude",
        "retries",
        "report",
        "slurm",
        "search",
        "other",
    ]
)


def _expand(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.yaml")
        path.write_bytes(content)
        try:
            grid = expand(read_plan(path), Path(folder, "grid"))
        except InputError as error:
            assert str(error)
        else:
            assert grid.jobs


@QUICK
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_any_value_gives_jobs_or_an_input_error(changes: dict[str, object]) -> None:
    _expand(yaml.safe_dump({**RIGHT, **changes}).encode())


@QUICK
@given(
    content=st.binary(max_size=40)
    | st.text("seds:[]{}&*!|>-'\"\n ,1$", max_size=40).map(str.encode)
)
def test_any_bytes_are_an_input_error(content: bytes) -> None:
    _expand(content)


@QUICK
@given(
    seeds=st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True),
    ranks=st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
)
def test_plans_are_read_back(seeds: list[int], ranks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.yaml")
        content = {
            **RIGHT,
            "contrasts": False,
            "seeds": seeds,
            "factors": {"lora": {"LORA_RANK": ranks}},
        }
        path.write_text(yaml.safe_dump(content))
        plan = read_plan(path)
        grid = expand(plan, Path(folder, "grid"))
    assert plan.seeds == tuple(seeds)
    assert plan.factors["lora"].environment == {"LORA_RANK": ranks}
    runs = [job for job in grid.jobs.values() if job.kind == "clip_it"]
    assert len(runs) == len(seeds) * len({16, *ranks})
