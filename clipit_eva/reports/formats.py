"""The file formats a corpus of reports comes in: bytes to a raw table that knows its places."""

import csv
import dataclasses
import functools
import io
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from clipit_eva.errors import InputError
from clipit_eva.files import read_table

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RawTable:
    """A table as read, and where each of its rows stands in the file.

    Attributes:
        frame: The rows, unchecked; the index counts from 0.
        unit: What `positions` count: "line", "row", "object" or "file".
        positions: For each row its line, row or object (from 1) or its file's name.
    """

    frame: pd.DataFrame
    unit: str
    positions: Sequence[int | str]

    def place(self, row: int) -> str:
        """Returns where a row (from 0) stands, for messages: "line 12"."""
        return f"{self.unit} {self.positions[row]}"


def read_raw(path: Path) -> RawTable:
    """Reads a file or folder of reports, see `corpus.read_corpus`, without judging its columns.

    Plain text gets columns `report_id` and `text`; values of `.csv` and `.tsv` files are strings.

    Raises:
        InputError: The path is missing, of unknown format, unreadable, malformed or not UTF-8.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.is_file():
        raise InputError(f"reports {path} does not exist; check the path")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise InputError(
            f"reports {path} has the unknown suffix {path.suffix!r}; give one of {known}, "
            "or a folder of .txt files"
        )
    return reader(path)


def _read_folder(folder: Path) -> RawTable:
    """Reads one report from each .txt file."""
    # `._NAME` is what macOS keeps about NAME, not a report.
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    paths = sorted(path for path in found if path.suffix.lower() == ".txt" and path.is_file())
    if not paths:
        raise InputError(f"reports folder {folder} has no .txt file; put one report in each")
    rows = {"report_id": [path.stem for path in paths], "text": [_decode(path) for path in paths]}
    return RawTable(pd.DataFrame(rows, dtype=object), "file", [path.name for path in paths])


def _read_lines(path: Path) -> RawTable:
    """Reads one report from each line that is not blank."""
    # Not splitlines(): a form feed or U+2028 inside a report does not end its line.
    text = _decode(path)
    lines = text.split("\n" if "\n" in text else "\r")  # a lone CR ended lines on old Macs
    if lines[-1] == "":
        lines.pop()
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(kept) < len(lines):
        _log.warning("reports %s: skipped %d blank lines", path, len(lines) - len(kept))
    rows = [(f"line-{number:06d}", line) for number, line in kept]
    frame = pd.DataFrame(rows, columns=["report_id", "text"], dtype=object)
    return RawTable(frame, "line", [number for number, _ in kept])


def _read_delimited(delimiter: str, path: Path) -> RawTable:
    """Reads records below a header, strictly: ragged or badly quoted ones are errors."""
    previous_limit = csv.field_size_limit(sys.maxsize)  # a long report is named by the corpus
    start = 1
    try:
        reader = csv.reader(
            io.StringIO(_decode(path), newline=""), delimiter=delimiter, strict=True
        )
        header = next(reader, [])
        rows, positions = [], []
        start = reader.line_num + 1
        for row in reader:
            if row and len(row) != len(header):
                raise csv.Error(f"{len(row)} fields where the header has {len(header)}")
            if row:
                rows.append(row)
                positions.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"reports {path}: the record that starts in line {start} is malformed ({error}); "
            "mend its quotes or delimiters"
        ) from error
    finally:
        csv.field_size_limit(previous_limit)
    for name in header:
        if header.count(name) > 1:
            raise InputError(
                f"reports {path}: column {name!r} appears twice in the header; rename one"
            )
    return RawTable(pd.DataFrame(rows, columns=header, dtype=object), "line", positions)


def _read_jsonl(path: Path) -> RawTable:
    """Reads one JSON object from each line that is not blank."""
    rows, positions = [], []
    for number, line in enumerate(_decode(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"reports {path}, line {number}: not valid JSON ({error.msg} at column "
                f"{error.colno}); write one object a line"
            ) from error
        if not isinstance(value, dict):
            raise InputError(
                f"reports {path}, line {number}: a JSON {type(value).__name__}, not an object; "
                "write one object a line"
            )
        rows.append(value)
        positions.append(number)
    return RawTable(pd.DataFrame(rows, dtype=object), "line", positions)


def _read_json(path: Path) -> RawTable:
    """Reads a list of objects."""
    try:
        rows = json.loads(_decode(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"reports {path}, line {error.lineno}: not valid JSON ({error.msg}); write a list of "
            "objects, or name a file with one a line .jsonl"
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"reports {path} is JSON but no list of objects; write one object a report"
        )
    return RawTable(pd.DataFrame(rows, dtype=object), "object", range(1, len(rows) + 1))


def _read_parquet(path: Path) -> RawTable:
    try:
        frame, _ = read_table(path, columns=[], kind="reports file")
        frame = frame.astype(object)  # decodes the text, which a string column puts off
    except (pa.ArrowException, UnicodeError):
        # Not chained: the library's message quotes the text.
        raise InputError(f"reports {path} have text that is not UTF-8; write it as UTF-8") from None
    return RawTable(frame, "row", range(1, len(frame) + 1))


def _decode(path: Path) -> str:
    """Returns a file's text, newlines as they are, without a byte order mark."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"reports {path} cannot be read ({error.strerror})") from error
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"reports {path}, line {line} (byte {error.start}): not UTF-8; save the file as UTF-8"
        ) from None


_READERS: dict[str, Callable[[Path], RawTable]] = {
    ".txt": _read_lines,
    ".csv": functools.partial(_read_delimited, ","),
    ".tsv": functools.partial(_read_delimited, "\t"),
    ".json": _read_json,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
