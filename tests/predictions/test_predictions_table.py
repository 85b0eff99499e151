"""The predictions table as a file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from clipit_eva.errors import InputError
from clipit_eva.predictions.predictions_table import (
    make_rows,
    probabilities,
    read_predictions,
    schema,
    write_predictions,
)


@settings(deadline=None)
@given(logits=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20))
def test_one_logit_gives_two_probabilities(logits: list[float]) -> None:
    probs = probabilities(torch.tensor(logits))
    positive = special.expit(np.array(logits, dtype=np.float64))
    assert probs.dtype == np.float32
    np.testing.assert_allclose(probs, np.stack([1 - positive, positive], axis=1), atol=1e-6)


@settings(deadline=None)
@given(classes=st.integers(2, 9), batch=st.integers(1, 5), seed=st.integers(0, 1000))
def test_one_logit_a_class_gives_the_softmax(classes: int, batch: int, seed: int) -> None:
    logits = 10 * torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed))
    probs = probabilities(logits)
    assert probs.dtype == np.float32
    expected = special.softmax(logits.double().numpy(), axis=1)
    np.testing.assert_allclose(probs, expected, atol=1e-6)
    assert (probs.argmax(1) == logits.argmax(1).numpy()).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_floating_type_is_read(dtype: torch.dtype) -> None:
    logits = torch.tensor([[0.5, -1.25], [3.0, 4.0]], dtype=dtype, requires_grad=True)
    expected = special.softmax(logits.detach().double().numpy(), axis=1)
    np.testing.assert_allclose(probabilities(logits), expected, atol=1e-6)


def rows(split: str = "test", branch: str = "fused", first: int = 0) -> pd.DataFrame:
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    indices = [first, first + 1, first + 2]
    return make_rows(split, branch, indices, ["a", "b", "c"], [1, -1, 0], probs)


def test_unknown_targets_are_null_and_predictions_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(rows(), path, {"kind": "predictions table"})
    table = pq.read_table(path)
    assert table["target"].to_pylist() == [1, None, 0]
    assert table["prediction"].to_pylist() == [0, 1, 0]
    assert table["filename"].to_pylist() == ["a", "b", "c"]
    declared = {field.name: str(field.type) for field in table.schema}
    assert declared == {
        "split": "string",
        "index": "int64",
        "filename": "string",
        "target": "int64",
        "branch": "string",
        "prediction": "int64",
        "prob_0": "float",
        "prob_1": "float",
    }
    assert list(declared) == schema(2).names
    _, provenance = read_predictions(path)
    assert provenance == {"kind": "predictions table"}


def test_groups_are_a_column_where_they_are_known(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    probs = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    grouped = make_rows("test", "fused", [1, 0], ["b", "a"], [1, 0], probs, groups=["p2", "p1"])
    write_predictions(grouped, path, {"kind": "predictions table"})
    table = pq.read_table(path)
    assert table["group"].to_pylist() == ["p1", "p2"]
    assert table.schema.names == schema(2, groups=True).names == [*schema(2).names, "group"]


def test_each_sample_is_written_once_in_a_fixed_order(tmp_path: Path) -> None:
    parts = [rows(branch="vision"), rows(first=3), rows(), rows(split="predict"), rows()]
    path = tmp_path / "predictions.parquet"
    contents = []
    for seed in (None, 0, 1):
        table = pd.concat(parts, ignore_index=True)
        table = table if seed is None else table.sample(frac=1, random_state=seed)
        write_predictions(table, path, {})
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] == contents[2]
    read, _ = read_predictions(path)
    keys = list(read[["split", "branch", "index"]].itertuples(index=False, name=None))
    assert keys == [
        *[("predict", "fused", n) for n in range(3)],
        *[("test", "fused", n) for n in range(6)],
        *[("test", "vision", n) for n in range(3)],
    ]


def test_damaged_or_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(InputError, match=f"predictions table {path} does not exist"):
        read_predictions(path)
    write_predictions(rows(), path, {})
    whole = path.read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="is not a readable parquet file"):
            read_predictions(path)
    pd.DataFrame({"split": ["a"]}).to_parquet(path)
    with pytest.raises(InputError, match="lacks column 'index'"):
        read_predictions(path)
