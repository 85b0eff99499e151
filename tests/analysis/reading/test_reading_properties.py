"""Any predictions table, list of runs or list of slides is read or named by an InputError."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva import files
from clipit_eva.analysis.reading.run_files import find_tables
from clipit_eva.analysis.reading.runs import read_run
from clipit_eva.analysis.reading.slides import slides_of
from clipit_eva.errors import InputError
from clipit_eva.predictions import predictions_table

QUICK = settings(derandomize=True, max_examples=60, deadline=None)
COLUMNS = st.one_of(
    *(st.lists(kind | st.none(), min_size=2, max_size=2)
      for kind in (st.integers(-3, 3), st.floats(), st.text("ab", max_size=3), st.booleans()))
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab./", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["runs", "plain", "class", "model"]), inner, max_size=2)
    ),
    max_leaves=5,
)
MADE: dict[str, Any] = {
    "config": {"model": {"class_path": "eva.HeadModule", "init_args": {}}},
    "datasets": [{"class": "eva.BACH", "classes": ["a", "b"]}],
    "run": "run_0",
    "seed": 1,
}


def _table(folder: str, made: dict[str, Any], **columns: object) -> Path:
    probs = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    rows = predictions_table.make_rows("test", "vision", [0, 1], ["a", "b"], [0, 1], probs)
    path = Path(folder, predictions_table.FILENAME)
    files.write_table(rows.assign(**columns), path, provenance=made)
    return path


@QUICK
@given(values=COLUMNS, name=st.sampled_from([*predictions_table.COLUMNS, "prob_0", "prob_x"]))
def test_any_column_gives_a_run_or_an_input_error(values: list[object], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = _table(folder, MADE, **{name: pd.Series(values)})
        try:
            run = read_run(path)
        except InputError as error:
            assert path.name in str(error)
        else:
            assert run is None or np.isfinite(run.probabilities).all()


@QUICK
@given(key=st.sampled_from(sorted(MADE)), value=JSON)
def test_any_provenance_gives_a_run_or_an_input_error(key: str, value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = _table(folder, {**MADE, key: value})
        try:
            read_run(path)
        except InputError as error:
            assert path.name in str(error)


@QUICK
@given(content=st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_list_of_runs_is_read_or_an_input_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "grid.json").write_bytes(content)
        try:
            find_tables(Path(folder))
        except InputError as error:
            assert "grid.json" in str(error)


@QUICK
@given(content=st.binary(max_size=40) | st.text('wsi,\n"ab1\0', max_size=30).map(str.encode))
def test_any_list_of_slides_is_read_or_an_input_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x_split_test_meta.csv")
        path.write_bytes(content)
        dataset = {"class_path": "eva.BACH", "init_args": {"root": folder, "split": "test"}}
        run: Any = read_run(
            _table(folder, {**MADE, "config": {"data": {"datasets": {"test": dataset}}}})
        )
        try:
            slides = slides_of(run)
        except InputError as error:
            assert path.name in str(error)
        else:
            assert slides is not None
            assert len(slides) == 2
