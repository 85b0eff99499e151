"""Any pairing table is read back as written; any file gives a table or an InputError."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import SCHEMA, make_pairs, read_pairs, write_pairs

QUICK = settings(derandomize=True, max_examples=60, deadline=None)
NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6)
COLUMNS = st.one_of(
    *(st.lists(kind | st.none(), min_size=2, max_size=2)
      for kind in (st.integers(-(2**40), 2**40), st.floats(), NAMES, st.binary(), st.booleans()))
)  # fmt: skip


@QUICK
@given(
    names=st.lists(NAMES, max_size=4),
    ids=st.lists(NAMES, min_size=1, max_size=4),
    k=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_pairs_are_read_back(names: list[str], ids: list[str], k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    neighbours = generator.integers(len(ids), size=(len(names), k))
    cosines = generator.uniform(-1, 1, (len(names), k)).astype(np.float32)
    pairs = make_pairs("train", names, ids, neighbours, cosines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pairs.parquet")
        write_pairs(pairs, path, {"made": {"of": ids}})
        found, made = read_pairs(path)
    pd.testing.assert_frame_equal(found, pairs, check_dtype=False)
    assert made == {"made": {"of": ids}}


@QUICK
@given(content=st.binary(max_size=60))
def test_any_bytes_are_an_input_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pairs.parquet")
        path.write_bytes(b"PAR1" + content + b"PAR1")
        try:
            read_pairs(path)
        except InputError as error:
            assert path.name in str(error)
        else:
            raise AssertionError("it was read")


@QUICK
@given(values=COLUMNS, name=st.sampled_from(SCHEMA.names), lacks=st.booleans())
def test_any_column_gives_a_table_or_an_input_error(
    values: list[object], name: str, lacks: bool
) -> None:
    cosines = np.zeros((2, 1), dtype=np.float32)
    pairs = make_pairs("train", ["a", "b"], ["r"], np.zeros((2, 1), dtype=np.int64), cosines)
    pairs = pairs.drop(columns=name) if lacks else pairs.assign(**{name: pd.Series(values)})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pairs.parquet")
        files.write_table(pairs, path, provenance={})
        try:
            found, _ = read_pairs(path)
        except InputError as error:
            assert path.name in str(error)
            assert name in str(error)
        else:
            assert list(found.columns) == SCHEMA.names
