"""The pairing table as a file; its refusals are tested where it is used, in `PairedDataset`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import SCHEMA, make_pairs, pairs_of, read_pairs, write_pairs

IDS = ["a", "b", "c"]
NEIGHBOURS = np.array([[2, 0], [1, 2], [0, 1]])
SIMILARITIES = np.array([[0.9, 0.5], [0.8, 0.1], [0.3, -0.2]], dtype=np.float32)
PROVENANCE = {
    "datasets": {"train": {"class": "eva.BACH", "length": 5}},
    "reports": {"sha256": "abc", "source": "reports.csv"},
}


@pytest.fixture
def pairs() -> pd.DataFrame:
    return make_pairs("train", ["x.tif", "y.tif", "z.tif"], IDS, NEIGHBOURS, SIMILARITIES)


def test_rows_say_which_report_is_how_near(pairs: pd.DataFrame) -> None:
    assert pairs.columns.tolist() == SCHEMA.names
    assert pairs["index"].tolist() == [0, 0, 1, 1, 2, 2]
    assert pairs["filename"].tolist() == ["x.tif", "x.tif", "y.tif", "y.tif", "z.tif", "z.tif"]
    assert pairs["rank"].tolist() == [0, 1] * 3
    assert pairs["report_id"].tolist() == ["c", "a", "b", "c", "a", "b"]
    assert pairs["similarity"].tolist() == SIMILARITIES.ravel().tolist()
    assert pairs["split"].unique().tolist() == ["train"]


def test_file_has_the_declared_schema_and_comes_back(pairs: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    write_pairs(pairs, path, PROVENANCE)
    declared = {
        "split": "string",
        "index": "int64",
        "filename": "string",
        "rank": "int32",
        "report_id": "string",
        "chunk": "int32",
        "similarity": "float",
    }
    assert {field.name: str(field.type) for field in pq.read_schema(path)} == declared
    read, provenance = read_pairs(path)
    assert provenance == PROVENANCE
    pd.testing.assert_frame_equal(read, pairs, check_dtype=False)


def test_pairs_come_in_the_order_asked_for(pairs: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    write_pairs(pairs.iloc[::-1], path, PROVENANCE)
    rows, similarities = pairs_of(
        path,
        split="train",
        dataset="eva.BACH",
        filenames={2: "z.tif", 0: "x.tif"},
        length=5,
        reports_sha256="abc",
        report_rows={"a": 10, "b": 11, "c": 12},
        top_k=2,
    )
    assert rows.tolist() == [[10, 11], [12, 10]]
    assert similarities.tolist() == SIMILARITIES[[2, 0]].tolist()
    assert rows.dtype == np.int64
    assert similarities.dtype == np.float32


def test_another_table_is_no_pairing_table(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    files.write_table(pd.DataFrame({"split": ["a"], "index": [1]}), path, provenance={})
    with pytest.raises(InputError, match=f"pairing table {path} lacks column 'filename'"):
        read_pairs(path)


def test_a_column_of_another_type_is_named(pairs: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    files.write_table(pairs.assign(rank="first"), path, provenance=PROVENANCE)
    with pytest.raises(
        InputError, match=f"pairing table {path}: column 'rank' is of type .*string, not int32"
    ):
        read_pairs(path)
