"""Embeddings on disk, each row computed once, however often the computation is interrupted."""

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from clipit_eva import files
from clipit_eva.errors import InputError

_DTYPE = np.dtype(np.float32)
_MARK = np.dtype(np.uint32)
_ZEROS = 1 << 20
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

_log = logging.getLogger(__name__)


class RowStore:
    """A float32 matrix in a `.npy` file whose rows are written one by one, in any order.

    While rows are missing, they are in a file of another name (`.npy.partial`) beside one that
    holds each written row's CRC-32 (`.npy.marks`): a row counts as written when it has its mark's
    checksum, so that nothing depends on the order in which the disk gets either. Several processes
    may write different rows.

    Attributes:
        length: Number of rows.
        file: The complete matrix's file.
    """

    def __init__(
        self, folder: Path, kind: str, facts: Mapping[str, object], length: int, width: int
    ) -> None:
        """Finds the store's files; nothing is read or written.

        Args:
            folder: Where the files are.
            kind: What the rows are; part of the files' names.
            facts: What fixes the rows, JSON-serialisable; others have other files.
            length: Number of rows.
            width: Length of a row.
        """
        self.length = length
        self._shape = (length, width)
        self._facts = json.dumps(dict(facts), sort_keys=True, indent=1)
        stem = f"{kind}-{hashlib.sha256(self._facts.encode()).hexdigest()[:16]}"
        self.file = folder / f"{stem}.npy"
        self._partial = folder / f"{stem}.npy.partial"
        self._marks = folder / f"{stem}.npy.marks"
        self._facts_file = folder / f"{stem}.json"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process works on the store, and keeps others waiting meanwhile."""
        with files.one_line_errors(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._facts_file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, self.file.parent)
            yield
        finally:
            os.close(descriptor)

    def start(self) -> None:
        """Makes room for all rows, unless an earlier call did. Call it in one process.

        Raises:
            InputError: The disk is full, or the files are of something else.
        """
        if self.file.is_file():
            self._marks.unlink(missing_ok=True)  # left if a process ended in `finish`
            return
        with files.one_line_errors(self.file):
            if not self._check_facts():
                self._facts_file.write_text(self._facts, encoding="utf-8")
            if self._started():
                return
            try:
                self._marks.unlink(missing_ok=True)
                values = np.lib.format.open_memmap(
                    self._partial, mode="w+", dtype=_DTYPE, shape=self._shape
                )
                del values
                _reserve(self._partial, self._partial.stat().st_size)
                _reserve(self._marks, self.length * _MARK.itemsize)
            except OSError:
                for path in (self._partial, self._marks):
                    path.unlink(missing_ok=True)
                raise

    def missing(self) -> np.ndarray:
        """Returns the rows that are not written, int64, in order."""
        if self.file.is_file():
            return np.empty(0, dtype=np.int64)
        marks = np.fromfile(self._marks, dtype=_MARK)
        values = np.load(self._partial, mmap_mode="r")
        written = [bool(mark) and zlib.crc32(values[row]) == mark for row, mark in enumerate(marks)]
        return np.flatnonzero(~np.array(written, dtype=bool))

    def write(self, rows: Sequence[int], values: np.ndarray) -> None:
        """Writes rows.

        Args:
            rows: Their positions.
            values: Their values [len(rows), width], float32.

        Raises:
            InputError: The disk is full.
        """
        values = np.ascontiguousarray(values, dtype=_DTYPE)
        with files.one_line_errors(self.file), _opened(self._partial) as partial:
            size = values.shape[1] * _DTYPE.itemsize
            header = os.fstat(partial).st_size - self.length * size
            with _opened(self._marks) as marks:
                for row, value in zip(rows, values, strict=True):
                    _write_at(partial, value.tobytes(), header + row * size)
                    mark = np.array(zlib.crc32(value), dtype=_MARK)
                    _write_at(marks, mark.tobytes(), row * _MARK.itemsize)

    def finish(self) -> None:
        """Gives the complete matrix its name. Call it in one process, when no row is missing."""
        if self.file.is_file():
            return
        with files.one_line_errors(self.file), _opened(self._partial) as partial:
            os.fsync(partial)
            os.replace(self._partial, self.file)
            self._marks.unlink(missing_ok=True)

    def read(self) -> np.ndarray:
        """Returns the complete matrix [length, width], float32, as a read-only memory map.

        Raises:
            InputError: The file is damaged or of something else.
        """
        self._check_facts()
        try:
            values = np.load(self.file, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"embeddings {self.file} are damaged ({error}); delete them") from None
        if values.shape != self._shape or values.dtype != _DTYPE:
            raise InputError(
                f"embeddings {self.file} are damaged: {values.dtype} {values.shape}, expected "
                f"{_DTYPE} {self._shape}; delete them"
            )
        return values

    def _started(self) -> bool:
        """Says whether the files of an interrupted computation are there and whole."""
        if not (self._partial.is_file() and self._marks.is_file()):
            return False
        try:
            values = np.load(self._partial, mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return False
        sized = self._marks.stat().st_size == self.length * _MARK.itemsize
        return sized and values.shape == self._shape and values.dtype == _DTYPE

    def _check_facts(self) -> bool:
        """Says whether the facts are written; raises InputError if they are others."""
        try:
            found = json.loads(self._facts_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # new, or interrupted while it was written
            return False
        expected = json.loads(self._facts)
        if found != expected:
            keys = [key for key in expected if found.get(key) != expected[key]]
            raise InputError(
                f"embeddings {self.file} were made with another {', '.join(keys) or 'input'}; "
                "delete them, or give another EMBEDDINGS_ROOT"
            )
        return True


def _lock(descriptor: int, folder: Path) -> None:
    """Waits for a file's lock, which is released when the process ends, however."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning(
            "%s is on a disk without file locks: let one command at a time use this folder", folder
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Yields a file descriptor for writing."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reserve(path: Path, size: int) -> None:
    """Makes a file of zeros that has its place on disk, so that no later write finds it full."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, max(size, 1))
            return
        # macOS has none: write the zeros, where nothing is written yet.
        for offset in range(os.fstat(descriptor).st_size, size, _ZEROS):
            _write_at(descriptor, bytes(min(_ZEROS, size - offset)), offset)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Writes all bytes at an offset; a full disk can take a part."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
