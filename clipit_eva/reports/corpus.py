"""A corpus of reports, and how it is read and fingerprinted."""

import dataclasses
import difflib
import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.reports.formats import RawTable, read_raw

_log = logging.getLogger(__name__)

REPORT_ID = "report_id"
"""Column of a corpus that names each report, unique."""

TEXT = "text"
"""Column of a corpus that holds the reports."""

ID_COLUMNS = (REPORT_ID, "patient_filename")
"""Columns looked for, in this order, when no id column is named (the second is TCGA-Reports')."""

MAX_REPORT_BYTES = 10_000_000
"""Longest report accepted, in bytes of UTF-8."""

MISSING_WORDS = frozenset({"nan", "n/a", "#n/a", "<na>", "none", "null"})
"""What programs write where a report is missing, in lower case."""

RepeatedIds = Literal["refuse", "first", "longest"]
"""What is done with reports of one id."""

_RENAMED_SUFFIX = "_in_file"


@dataclasses.dataclass(frozen=True, eq=False)
class ReportCorpus:
    """Reports in a fixed order, with the fingerprint of what they say.

    Attributes:
        table: One row per report, in file order, with columns `report_id` (str, unique), `text`
            (str, not blank) and whatever further columns the file had; the index counts from 0.
        source: Where the reports came from, for messages and provenance.
        sha256: Fingerprint of the ordered reports: see `fingerprint`.
    """

    table: pd.DataFrame
    source: str
    sha256: str

    @classmethod
    def from_table(cls, table: pd.DataFrame, source: str) -> "ReportCorpus":
        """Makes a corpus of a table with columns `report_id`, `text` and any others.

        Raises:
            InputError: There is no report, a column is missing, an id is missing or not unique,
                or a text is missing, blank or longer than `MAX_REPORT_BYTES`.
        """
        raw = RawTable(table.reset_index(drop=True), "row", range(1, len(table) + 1))
        return _build(raw, source, TEXT, REPORT_ID)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """The report ids, in order."""
        return self.table[REPORT_ID].tolist()

    @property
    def texts(self) -> list[str]:
        """The reports, in order."""
        return self.table[TEXT].tolist()


def read_corpus(
    path: str | os.PathLike[str],
    text_column: str = TEXT,
    id_column: str | None = None,
    repeated_ids: RepeatedIds = "refuse",
) -> ReportCorpus:
    r"""Reads a corpus of reports.

    The format follows from the path: `.txt` (one report a line; blank lines are skipped, with
    their count logged), `.csv` and `.tsv` (with a header; every column is read as text), `.json`
    (a list of objects), `.jsonl` (one object a line), `.parquet`, or a folder of `.txt` files (one
    report a file, by name in code point order, subfolders not entered). Text files are UTF-8, with
    or without a byte order mark. Newlines become `\n` and white space around a report or an id is
    removed, so that the same reports get the same fingerprint from any format.

    Ids, strings or integers, come from `id_column`; by default from `report_id`, else from
    `patient_filename` (TCGA-Reports), else they number the rows (`row-000001` for the first).
    Reports in a `.txt` file are named by their line (`line-000001`), those in a folder by their
    file's stem; the only columns of these are `report_id` and `text`.

    In the corpus the two columns are called `report_id` and `text`. Other columns are kept, the id
    column under its own name too; another column of the file that was already called
    `report_id` or `text` gets the suffix `_in_file`.

    Of reports with one id, `repeated_ids` keeps the `first` or the `longest` (of equally long ones
    the first), which is logged, or refuses them (`refuse`).

    Raises:
        InputError: The path is missing, of unknown format, unreadable, malformed, not UTF-8 or
            has no report; a column does not exist; an id is missing or not unique; a report is
            missing, blank or longer than `MAX_REPORT_BYTES`. Names the file and the line, row or
            column; never quotes a report.
    """
    raw = read_raw(Path(path))
    if id_column is None:
        id_column = next((name for name in ID_COLUMNS if name in raw.frame.columns), None)
    return _build(raw, str(path), text_column, id_column, repeated_ids)


def fingerprint(ids: Iterable[str], texts: Iterable[str]) -> str:
    """Returns the fingerprint of ordered reports, 64 hexadecimal digits.

    It is the SHA-256 over, for each report in order, its id and then its text, each as UTF-8 bytes
    preceded by their number as 8 bytes, little-endian. So it depends on ids, texts and order,
    and neither on the file format nor on further columns.
    """
    digest = hashlib.sha256()
    for pair in zip(ids, texts, strict=True):
        for value in pair:
            encoded = value.encode()
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
    return digest.hexdigest()


def require_column(source: str, name: str, columns: Sequence[str]) -> None:
    """Raises InputError, which suggests the nearest, unless reports have a column of this name."""
    if name not in columns:
        has = ", ".join(columns)
        raise InputError(
            f"reports {source} has no column {name!r}{did_you_mean(name, columns)}; it has {has}"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a hint at the known name that is nearest but for its case, or nothing."""
    lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    return f" (did you mean {lower[near[0]]!r}?)" if near else ""


def _build(
    raw: RawTable,
    source: str,
    text_column: str,
    id_column: str | None,
    repeated_ids: RepeatedIds = "refuse",
) -> ReportCorpus:
    """Checks a raw table and makes the corpus of it."""
    frame = raw.frame
    if frame.empty:
        raise InputError(f"reports {source} holds no report; give a file with at least one")
    for name in (text_column, id_column):
        if name is not None:
            require_column(source, name, [str(column) for column in frame.columns])
    texts = _texts(raw, source, text_column)
    if id_column is None:
        ids = [f"row-{number:06d}" for number in range(1, len(frame) + 1)]
    else:
        ids = _ids(raw, source, id_column, repeated_ids)
    moved = {text_column} if text_column != id_column else set()
    if id_column == REPORT_ID:
        moved.add(REPORT_ID)
    further = frame.drop(columns=list(moved))
    further = further.rename(columns={name: name + _RENAMED_SUFFIX for name in (REPORT_ID, TEXT)})
    table = pd.DataFrame({REPORT_ID: pd.Series(ids, dtype=str), TEXT: pd.Series(texts, dtype=str)})
    table = pd.concat([table, further.infer_objects()], axis=1)
    if repeated := len(table) - table[REPORT_ID].nunique():
        lengths = table[TEXT].str.len() if repeated_ids == "longest" else -pd.Series(table.index)
        kept = lengths.groupby(table[REPORT_ID]).idxmax().sort_values()
        table = table.loc[kept].reset_index(drop=True)
        _log.info("%s: dropped %d reports with the id of the %s", source, repeated, repeated_ids)
    return ReportCorpus(table, source, fingerprint(table[REPORT_ID], table[TEXT]))


def _texts(raw: RawTable, source: str, column: str) -> list[str]:
    """Returns the checked reports, newlines and outer white space normalised."""
    texts = []
    for row, value in enumerate(raw.frame[column].tolist()):
        place = f"reports {source}, {raw.place(row)}, column {column!r}"
        if pd.api.types.is_scalar(value) and pd.isna(value):
            raise InputError(f"{place}: the report is missing; remove the row or fill it in")
        if not isinstance(value, str):
            raise InputError(f"{place}: the value is a {type(value).__name__}, not text; mend it")
        text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
        if "\0" in text:
            raise InputError(f"{place}: the report has NUL characters; save the file as UTF-8 text")
        try:
            length = len(text.encode())
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}: character {error.start} of the report is half a surrogate pair; "
                "write it as UTF-8"
            ) from None
        # Letters that leave ink are neither white space nor invisible.
        inked = any(letter.isprintable() and not letter.isspace() for letter in text)
        if text.casefold() in MISSING_WORDS or not inked:
            raise InputError(
                f"{place}: the report is blank, or the word for a missing value; remove the row or "
                "fill it in"
            )
        if length > MAX_REPORT_BYTES:
            raise InputError(
                f"{place}: the report has {length:,} bytes, more than {MAX_REPORT_BYTES:,}; "
                "split it or check that the file has one report a row"
            )
        texts.append(text)
    return texts


def _ids(raw: RawTable, source: str, column: str, repeated_ids: RepeatedIds) -> list[str]:
    """Returns the checked ids as strings."""
    first: dict[str, int] = {}
    ids = []
    for row, value in enumerate(raw.frame[column].tolist()):
        place = f"reports {source}, {raw.place(row)}, column {column!r}"
        if not isinstance(value, str | int) or isinstance(value, bool) or value is pd.NA:
            gone = pd.api.types.is_scalar(value) and pd.isna(value)
            kind = "missing" if gone else f"a {type(value).__name__}"
            raise InputError(f"{place}: the report id is {kind}; it has to be a string or integer")
        name = str(value).strip()
        if not name or not name.isprintable():
            raise InputError(f"{place}: the report id is blank or has control characters; mend it")
        ids.append(name)
        if first.setdefault(name, row) != row and repeated_ids == "refuse":
            raise InputError(
                f"reports {source}: {column} {name!r} is not unique: {raw.place(first[name])} and "
                f"{raw.place(row)}; rename or remove one, or set REPORT_REPEATED_IDS"
            )
    return ids
