"""Atomic files and parquet tables with provenance."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.files import (
    PROVENANCE_KEY,
    atomic_path,
    check_writable,
    read_table,
    sha256_file,
    write_table,
)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_whole_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "table.parquet"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".parquet"
        temporary.write_text("content")
        assert not target.exists()
    assert target.read_text() == "content"
    assert files_in(target.parent) == ["table.parquet"]


def test_old_file_stays_until_it_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with target.open() as reader:
        with atomic_path(target) as temporary:
            temporary.write_text("new content")
            assert target.read_text() == "old"
        assert reader.read() == "old"  # who had it open reads the old file to its end
    assert target.read_text() == "new content"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert files_in(tmp_path) == ["a.txt"]


def test_block_that_removes_its_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.unlink()
    assert files_in(tmp_path) == []


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    script = (
        "import os, sys; from clipit_eva.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path: path.write_text('half'); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(target)])
    assert killed.returncode == -9
    (left,) = files_in(tmp_path)
    with atomic_path(target) as slower:
        slower.write_text("slower")
        assert files_in(tmp_path) == [slower.name] != [left]
        with atomic_path(target) as faster:
            faster.write_text("faster")
            assert slower.exists()
        assert target.read_text() == "faster"
    assert target.read_text() == "slower"
    assert files_in(tmp_path) == ["a.txt"]


def test_full_disk_leaves_the_old_table_and_nothing_else(small_disk: Path) -> None:
    target = small_disk / "table.parquet"
    write_table(pd.DataFrame({"a": [1]}), target, provenance={})
    before = target.read_bytes()
    large = pd.DataFrame({"a": [os.urandom(32).hex() for _ in range(4000)]})
    message = f"{target} cannot be written: no space left on device; free some space"
    with pytest.raises(InputError, match=message):
        write_table(large, target, provenance={})
    assert target.read_bytes() == before
    assert files_in(small_disk) == ["table.parquet"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("content")
        assert os.umask(mask) == mask  # asking for the mask did not change it
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


SCHEMA = pa.schema([("name", pa.string()), ("count", pa.int64()), ("share", pa.float32())])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(width=32, allow_nan=False),
        )
    ),
    provenance=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    ),
)
def test_table_comes_back_as_it_was(tmp_path: Path, rows: list, provenance: dict) -> None:
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame(rows, columns=SCHEMA.names)
    write_table(frame, path, schema=SCHEMA, provenance=provenance)
    assert pq.read_schema(path).remove_metadata() == SCHEMA
    read, found = read_table(path, columns=SCHEMA.names, kind="table")
    assert list(read.itertuples(index=False, name=None)) == rows
    assert found == provenance


def test_arrow_tables_are_cast_and_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = pa.table({"count": pa.array([1], pa.int32()), "share": [0.5], "name": ["a"]})
    write_table(table, path, schema=SCHEMA, provenance={})
    assert pq.read_schema(path).remove_metadata() == SCHEMA


def test_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(pd.DataFrame({"x": [1, 2]}), tmp_path / name, provenance={"k": 1, "a": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_or_wrong_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with pytest.raises(InputError, match=f"thing {path} does not exist; check the path"):
        read_table(path, columns=[], kind="thing")
    with pytest.raises(InputError, match=f"thing {tmp_path} does not exist"):
        read_table(tmp_path, columns=[], kind="thing")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=f"thing {path} is not a readable parquet file"):
        read_table(path, columns=[], kind="thing")


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(pd.DataFrame({"x": range(50)}), path, provenance={})
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="is not a readable parquet file"):
            read_table(path, columns=["x"], kind="thing")


def test_a_missing_column_is_named_beside_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(pd.DataFrame({"x": [1], "y": [2]}), path, provenance={})
    with pytest.raises(InputError, match=f"thing {path} lacks column 'z'; it has x, y"):
        read_table(path, columns=["x", "z"], kind="thing")


def test_a_table_without_provenance_has_none(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pd.DataFrame({"x": [1]}).to_parquet(path)
    read, found = read_table(path, columns=["x"], kind="thing")
    assert found == {}
    assert read["x"].tolist() == [1]


def test_provenance_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table = pa.table({"x": [1]}).replace_schema_metadata({PROVENANCE_KEY: b"{not json"})
    pq.write_table(table, path)
    with pytest.raises(InputError, match=f"thing {path} has damaged provenance"):
        read_table(path, columns=["x"], kind="thing")


@pytest.mark.parametrize("size", [0, 1, (1 << 22) - 1, 1 << 22, (1 << 22) + 5])
def test_digest_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_what_is_in_the_way_is_named_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.parquet").mkdir()
    for name in ("file/pairs.parquet", "folder.parquet", "n" * 300 + ".parquet"):
        for write in (
            check_writable,
            lambda path: write_table(pd.DataFrame(), path, provenance={}),
        ):
            with pytest.raises(InputError, match="cannot be written") as caught:
                write(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value)
    assert files_in(tmp_path) == ["file", "folder.parquet"]


def test_a_path_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").write_text("old")
    for name in ("old.parquet", "new/folder/pairs.parquet"):
        check_writable(tmp_path / name)
    assert (tmp_path / "old.parquet").read_text() == "old"
    assert files_in(tmp_path / "new/folder") == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error"), "input/output error; check the disk"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device; free some"),
        (RuntimeError("I/O error: No space left (os error 28)"), "no space left on device; free"),
    ],
)
def test_a_disk_that_fails_is_told_in_one_line(
    tmp_path: Path, error: Exception, words: str
) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(InputError) as caught, atomic_path(target):
        raise error
    assert str(caught.value).startswith(f"{target} cannot be written: {words}")
    assert files_in(tmp_path) == []
