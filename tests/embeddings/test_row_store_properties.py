"""Rows come back whatever their order; files that are none are named."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.errors import InputError

QUICK = settings(derandomize=True, max_examples=40, deadline=None)


@QUICK
@given(order=st.integers(0, 6).flatmap(lambda n: st.permutations(range(n))), data=st.data())
def test_rows_are_read_back(order: list[int], data: st.DataObject) -> None:
    length, width = len(order), data.draw(st.integers(1, 4))
    values = np.random.default_rng(length).normal(size=(length, width)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store = RowStore(Path(folder), "x", {"a": 1}, length, width)
        store.start()
        first = data.draw(st.integers(0, length))
        store.write(order[:first], values[order[:first]])
        store = RowStore(Path(folder), "x", {"a": 1}, length, width)  # as after an interruption
        store.start()
        missing = store.missing()
        assert set(missing) == set(order[first:])
        store.write(missing.tolist(), values[missing])
        store.finish()
        np.testing.assert_array_equal(store.read(), values)


@QUICK
@given(content=st.binary(max_size=80), magic=st.booleans(), facts=st.binary(max_size=20))
def test_any_bytes_are_an_input_error(content: bytes, magic: bool, facts: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = RowStore(Path(folder), "x", {"a": 1}, 3, 2)
        store.file.write_bytes((b"\x93NUMPY\x01\x00" if magic else b"") + content)
        store.file.with_suffix(".json").write_bytes(facts)
        try:
            store.read()
        except InputError as error:
            assert store.file.name in str(error)
        else:
            raise AssertionError("it was read")
