"""Values of the variables that configs read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.eva.settings import _RULES, check_settings, check_value
from clipit_eva.tasks import configs
from clipit_eva.tasks.rendering import render_shipped

SHIPPED = list(render_shipped())
"""The files that are kept; other tasks differ in numbers alone."""


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_defaults_of_configs_are_right(path: Path) -> None:
    for name, default in configs.variables(path).items():
        if default:
            check_value(name, default)


def test_rules_are_of_variables_that_configs_read() -> None:
    assert set(_RULES) <= {name for path in SHIPPED for name in configs.variables(path)}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("BATCH_SIZE", ["1", "64"]),
        ("LR_VALUE", ["1e-3", "0", "0.5"]),
        ("LORA_TARGETS", ["[Linear]", "[blocks.0.attn.qkv, Conv2d]"]),
        ("MAX_STEPS", ["1", "-1"]),
        ("MODEL_EXTRA_KWARGS", ["null", "{dynamic_img_size: true}"]),
        ("NORMALIZE_MEAN", ["[0, 0, 0]", "[0.485,0.456,0.406]"]),
        ("NUM_DEVICES", ["auto", "2", "-1", "[0, 1]", "0,1"]),
        ("PERSISTENT_WORKERS", ["true", "False"]),
        ("PREFETCH_FACTOR", ["null", "2"]),
        ("RESIZE_DIM", ["224", "[224, 224]"]),
        ("VAL_CHECK_INTERVAL", ["1.0", "0.25", "100"]),
    ],
)
def test_right_values(name: str, values: list[str]) -> None:
    for value in values:
        check_value(name, value)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(sorted(_RULES)), st.text() | st.integers().map(str) | st.floats().map(str))
def test_any_value_is_right_or_named(name: str, value: str) -> None:
    try:
        check_value(name, value)
    except InputError as error:
        assert str(error).startswith(name)
        assert "must be" in str(error) or "set to nothing" in str(error)


def test_only_what_the_configs_read_is_checked() -> None:
    check_settings(["TOP_K", "REPORTS"], {"BATCH_SIZE": "x", "TOP_K": "2"})
    with pytest.raises(InputError, match="TOP_K=x"):
        check_settings(["TOP_K", "REPORTS"], {"TOP_K": "x"})


def test_steps_over_epochs_are_a_whole_number() -> None:
    names = configs.variables(configs.path("clip_it/bach"))
    over_epochs = {"CHECK_VAL_EVERY_N_EPOCH": "null"}
    for interval in ({}, {"VAL_CHECK_INTERVAL": "0.5"}):
        with pytest.raises(InputError, match="set VAL_CHECK_INTERVAL to a number"):
            check_settings(names, {**over_epochs, **interval})
    check_settings(names, {**over_epochs, "VAL_CHECK_INTERVAL": "10"})


def test_no_worker_needs_its_two_settings() -> None:
    names = configs.variables(configs.path("clip_it/bach"))
    alone = {"N_DATA_WORKERS": "0"}
    with pytest.raises(InputError, match="PREFETCH_FACTOR=null"):
        check_settings(names, alone)
    check_settings(names, {**alone, "PERSISTENT_WORKERS": "false", "PREFETCH_FACTOR": "null"})
