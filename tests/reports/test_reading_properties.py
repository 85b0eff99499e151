"""Any reports are read back as written; any bytes give reports or an InputError."""

import csv
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import MISSING_WORDS, read_corpus

LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Cn", "Co"))
WORDS = st.text(LETTERS, min_size=1, max_size=8)
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
REPORTS = st.dictionaries(
    WORDS, TEXTS.filter(lambda text: text.casefold() not in MISSING_WORDS), min_size=1, max_size=5
)
QUICK = settings(derandomize=True, max_examples=40, deadline=None)
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")


def _delimited(delimiter: str) -> Callable[[dict[str, str]], bytes]:
    def write(reports: dict[str, str]) -> bytes:
        text = io.StringIO(newline="")
        rows = csv.writer(text, delimiter=delimiter)
        rows.writerows([("report_id", "text"), *reports.items()])
        return text.getvalue().encode()

    return write


def _jsonl(reports: dict[str, str]) -> bytes:
    lines = [json.dumps({"report_id": name, "text": text}) for name, text in reports.items()]
    return "\n".join(lines).encode()


def _parquet(reports: dict[str, str]) -> bytes:
    file = io.BytesIO()
    frame = pd.DataFrame({"report_id": list(reports), "text": list(reports.values())})
    frame.to_parquet(file)
    return file.getvalue()


WRITERS: dict[str, Callable[[dict[str, str]], bytes]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
@QUICK
@given(reports=REPORTS)
def test_reports_are_read_back(suffix: str, reports: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"reports{suffix}")
        path.write_bytes(WRITERS[suffix](reports))
        corpus = read_corpus(path)
    assert dict(zip(corpus.ids, corpus.texts, strict=True)) == reports


@QUICK
@given(reports=REPORTS)
def test_lines_are_read_back(reports: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "reports.txt")
        path.write_bytes("\n".join(reports.values()).encode())
        assert read_corpus(path).texts == list(reports.values())


def _read(suffix: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"reports{suffix}")
        path.write_bytes(content)
        try:
            corpus = read_corpus(path)
        except InputError as error:
            assert path.name in str(error)
        else:
            assert all(text.strip() for text in corpus.texts)
            assert len(set(corpus.ids)) == len(corpus) > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
@QUICK
@given(
    content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16"))
)
def test_any_bytes_give_reports_or_an_input_error(suffix: str, content: bytes) -> None:
    _read(suffix, content)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@QUICK
@given(content=st.text('report_id,txt"\n\r\t\0 \ufeff\u200b1', max_size=60))
def test_any_table_gives_reports_or_an_input_error(suffix: str, content: str) -> None:
    _read(suffix, f"report_id,text\n{content}".encode())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


@QUICK
@given(rows=st.lists(st.fixed_dictionaries({}, optional={"report_id": VALUES, "text": VALUES})))
def test_any_json_gives_reports_or_an_input_error(rows: list[dict[str, object]]) -> None:
    _read(".jsonl", "\n".join(map(json.dumps, rows)).encode())


@QUICK
@given(
    values=st.one_of(
        *(st.lists(kind | st.none(), min_size=1, max_size=3)
          for kind in (st.integers(-9, 9), st.floats(), st.text(LETTERS), st.binary(),
                       st.booleans(), st.datetimes(), st.lists(st.text(LETTERS), max_size=2)))
    ),
    name=st.sampled_from(["text", "report_id", "other"]),
)  # fmt: skip
def test_any_column_gives_reports_or_an_input_error(values: list[object], name: str) -> None:
    columns = {"report_id": range(len(values)), "text": ["gland"] * len(values), name: values}
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    _read(".parquet", file.getvalue())
