"""Files that are either whole or absent, and parquet tables that say where they came from.

pandas and pyarrow are imported where tables are read and written: most files are none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipit_eva.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PROVENANCE_KEY = b"clipit_eva"
"""Key of the parquet schema metadata that holds the JSON provenance."""

_CHUNK = 1 << 22

_CANNOT_WRITE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EIO: "check the disk, or the connection to it",
    errno.EFBIG: "raise the limit on a file's size",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose a folder that can be written to",
    errno.ENOTDIR: "a part of its path is a file; give another path",
    errno.EEXIST: "a part of its path is a file; give another path",
    errno.EISDIR: "it is a folder; give a file",
    errno.ENAMETOOLONG: "give a shorter path",
}
"""What the user can do about the reasons why a file cannot be written."""


def user_cache() -> Path:
    """Returns the folder of what can be made again, below the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipit_eva"


def why_not_written(error: BaseException) -> str | None:
    """Returns why a file could not be written and what to do; None if an error is of another kind.

    Libraries in Rust, such as safetensors, tell the system's error by its number in their message.
    """
    number = getattr(error, "errno", None) if isinstance(error, OSError) else None
    if number is None and (told := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(told[1])
    if number not in _CANNOT_WRITE:
        return None
    return f"{os.strerror(number).lower()}; {_CANNOT_WRITE[number]}"


@contextlib.contextmanager
def one_line_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns a full disk, missing permissions or a bad path into an InputError that names `path`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = why_not_written(error)
        if reason is None:
            raise
        raise InputError(f"{path} cannot be written: {reason}") from error


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path that becomes `path` when the block ends without an error.

    The temporary file has the suffix of `path`, lies in the same folder (so that the rename is
    atomic; missing folders are made), is flushed to disk before the rename and is removed when the
    block raises, a full disk included. What a killed process left of it, the next call removes.

    Raises:
        InputError: The disk is full, or the folder cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{target.suffix}")
    with one_line_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        with temporary.open("xb") as held:
            try:
                with contextlib.suppress(OSError):  # not every disk has locks
                    fcntl.flock(held, fcntl.LOCK_EX)
                yield temporary
                _fsync(temporary)
                os.replace(temporary, target)
                _fsync(target.parent)
            finally:
                temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuses a path that no file can be written to; missing parent folders are made.

    Raises:
        InputError: It is a folder, or its folder cannot be made or written to.
    """
    target = Path(path)
    with one_line_errors(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}."):
            pass


def write_table(
    table: pd.DataFrame | pa.Table,
    path: str | os.PathLike[str],
    *,
    schema: pa.Schema | None = None,
    provenance: Mapping[str, Any],
) -> None:
    """Writes a parquet table with provenance, JSON-serialisable facts of its making, atomically.

    It is cast to the schema's column names and types, in this order; `None` keeps its own.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not isinstance(table, pa.Table):
        table = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    elif schema is not None:
        table = table.select(schema.names).cast(schema)
    metadata = {PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


def read_table(
    path: str | os.PathLike[str], *, columns: Sequence[str] | pa.Schema, kind: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads a parquet table and its provenance.

    Columns that must be present are named, or a schema that they are cast to is given; others are
    read too. `kind` is what the table is, for messages ("pairing table"). Provenance is empty when
    the file has none.

    Raises:
        InputError: The file is missing, is not a whole parquet file, lacks a column or has
            one of another type, or its provenance is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise InputError(f"{kind} {path} does not exist; check the path")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{kind} {path} is not a readable parquet file ({error}); make it again"
        ) from error
    names: Sequence[str] = getattr(columns, "names", columns)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise InputError(
            f"{kind} {path} lacks column {missing[0]!r}; it has {', '.join(table.column_names)}"
        )
    metadata = table.schema.metadata or {}
    try:
        provenance = json.loads(metadata.get(PROVENANCE_KEY, b"{}"))
    except ValueError as error:
        raise InputError(f"{kind} {path} has damaged provenance; make it again") from error
    table = table.replace_schema_metadata(None)
    if isinstance(columns, pa.Schema):
        table = _cast(table, columns, f"{kind} {path}")
    return table.to_pandas(), provenance


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _cast(table: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """Casts the columns that a schema declares; raises InputError where that is not possible."""
    import pyarrow as pa

    for field in schema:
        position = table.column_names.index(field.name)
        column = table.column(position)
        try:
            table = table.set_column(position, field, column.cast(field.type))
        except pa.ArrowException as error:
            raise InputError(
                f"{name}: column {field.name!r} is of type {column.type}, not {field.type}; "
                "make it again"
            ) from error
    return table


def _remove_abandoned(target: Path) -> None:
    """Removes temporary files of a target whose writers were killed: their locks went with them."""
    name, suffix = glob.escape(target.name), glob.escape(target.suffix)
    for path in target.parent.glob(f".{name}.{'[0-9a-f]' * 8}{suffix}"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
