"""Reading a corpus from every format, and the one-line errors for bad files."""

import json
import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import (
    MAX_REPORT_BYTES,
    RepeatedIds,
    ReportCorpus,
    fingerprint,
    read_corpus,
)

IDS = ["b-1", "a-2", "c-3"]
TEXTS = ["Colon, NO tumour; pT0.", "Grade 2,\nsee µ-scopy.", 'He said "G3".']


def write(folder: Path, suffix: str) -> Path:
    """Writes the same three reports in a format."""
    table = pd.DataFrame({"report_id": IDS, "text": TEXTS, "site": ["x", "y", "x"]})
    path = folder / f"reports{suffix}"
    if suffix in (".csv", ".tsv"):
        table.to_csv(path, sep="," if suffix == ".csv" else "\t", index=False)
    elif suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path, index=False)
    return path


def error_of(path: Path, **columns: str | None) -> str:
    with pytest.raises(InputError) as caught:
        read_corpus(path, **columns)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_table_format_gives_the_same_corpus(tmp_path: Path, suffix: str) -> None:
    corpus = read_corpus(write(tmp_path, suffix))
    assert corpus.ids == IDS
    assert corpus.texts == TEXTS
    assert corpus.table["site"].tolist() == ["x", "y", "x"]
    assert corpus.sha256 == fingerprint(IDS, TEXTS)
    assert len(corpus) == 3


def test_a_folder_of_files_is_read_by_name(tmp_path: Path) -> None:
    for name, text in zip(IDS, TEXTS, strict=True):
        (tmp_path / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
        (tmp_path / f"._{name}.txt").write_bytes(b"\0\5\x16\7")  # what macOS keeps beside it
    (tmp_path / "notes.md").write_text("not a report")
    corpus = read_corpus(tmp_path)
    assert corpus.ids == sorted(IDS)
    order = [IDS.index(name) for name in sorted(IDS)]
    assert corpus.sha256 == fingerprint(sorted(IDS), [TEXTS[row] for row in order])


def test_a_lone_cr_ends_lines_only_where_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "reports.txt"
    path.write_bytes(b"one\rtwo\r\rthree\r")
    assert read_corpus(path).texts == ["one", "two", "three"]
    path.write_bytes(b"one\rmore of it\ntwo\r\n")
    assert read_corpus(path).texts == ["one\nmore of it", "two"]


def test_lines_keep_their_numbers_and_blank_ones_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "reports.txt"
    path.write_bytes("\ufefffirst\r\n \r\n\r\nfourth \x0c page\u2028two\r\n".encode())
    with caplog.at_level(logging.WARNING):
        corpus = read_corpus(path)
    assert corpus.ids == ["line-000001", "line-000004"]
    assert corpus.texts == ["first", "fourth \x0c page\u2028two"]
    assert "skipped 2 blank lines" in caplog.text
    assert "fourth" not in caplog.text


def test_fingerprint_is_a_fixed_function_of_ids_texts_and_order() -> None:
    # Independently: printf '\x01\0\0\0\0\0\0\0a\x02\0\0\0\0\0\0\0\xc2\xb5' | sha256sum
    known = "1e5eb35e57162476482c319c32cb9c2034e9a3d16e49e0c7f4e8ea63e56183c9"
    assert fingerprint(["a"], ["µ"]) == known
    assert fingerprint(["ab"], ["c"]) != fingerprint(["a"], ["bc"])
    assert fingerprint(IDS, TEXTS) != fingerprint(IDS[::-1], TEXTS[::-1])


def test_tcga_reports_columns_are_found(tmp_path: Path) -> None:
    path = tmp_path / "TCGA_Reports.csv"
    pd.DataFrame({"patient_filename": ["TCGA-AA-3675.1f"], "text": ["t"]}).to_csv(path, index=False)
    corpus = read_corpus(path)
    assert corpus.ids == ["TCGA-AA-3675.1f"]
    assert corpus.table.columns.tolist() == ["report_id", "text", "patient_filename"]


def test_named_columns_move_and_others_of_that_name_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "reports.jsonl"
    row = {"report_id": "old", "text": "raw", "clean": "better", "case": 7, "age": 61}
    path.write_text(json.dumps(row) + "\n")
    table = read_corpus(path, text_column="clean", id_column="case").table
    assert table.to_dict("records") == [
        {
            "report_id": "7",
            "text": "better",
            "report_id_in_file": "old",
            "text_in_file": "raw",
            "case": 7,
            "age": 61,
        }
    ]


def test_rows_without_ids_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text('text\n"a,\nb"\nNA\n')
    corpus = read_corpus(path)
    assert corpus.ids == ["row-000001", "row-000002"]
    assert corpus.texts == ["a,\nb", "NA"]


def test_csv_values_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("report_id,text,code\n007,t,010\n")
    assert read_corpus(path).table.iloc[0].tolist() == ["007", "t", "010"]


def test_a_corpus_of_some_rows_has_its_own_fingerprint(tmp_path: Path) -> None:
    whole = read_corpus(write(tmp_path, ".csv"))
    some = ReportCorpus.from_table(whole.table.iloc[[2, 0]], whole.source)
    assert some.ids == ["c-3", "b-1"]
    assert some.table.index.tolist() == [0, 1]
    assert some.table.columns.tolist() == whole.table.columns.tolist()
    assert some.sha256 == fingerprint(some.ids, some.texts)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.txt", b"", "holds no report"),
        ("r.txt", b" \n\t\n", "holds no report"),
        ("r.csv", b"", "holds no report"),
        ("r.csv", b"report_id,text\n", "holds no report"),
        ("r.jsonl", b"\n", "holds no report"),
        ("r.json", b"[]", "holds no report"),
        ("r.json", b'[{"text":"PRIVATE"},\n', "line 2: not valid JSON"),
        ("r.json", b'["PRIVATE"]', "no list of objects"),
        ("r.json", b'[{"text":"x"},{"text":3}]', "object 2, column 'text': the value is a int"),
        ("r.txt", b"fine\ncaf\xe9 PRIVATE\n", "line 2 (byte 8): not UTF-8"),
        ("r.csv", b"text\nok\n\xff\xfe\n", "line 3 (byte 8): not UTF-8"),
        ("r.csv", b"report_id,text\na,PRIVATE\na,y\n", "'a' is not unique: line 2 and line 3"),
        ("r.jsonl", b'{"report_id":1,"text":"x"}\n\n{"report_id":"1","text":"y"}', "line 1 and"),
        ("r.csv", b"report_id,text\na,x\n,PRIVATE\n", "line 3, column 'report_id'"),
        ("r.csv", b"report_id,text\na,x\nb,  \n", "line 3, column 'text': the report is blank"),
        ("r.csv", b"report_id,text\na,x\nb,NaN\n", "line 3, column 'text': the report is blank"),
        ("r.jsonl", b'{"text": "x"}\n{"text": "\\u200b\\ufeff"}\n', "line 2, column 'text': the"),
        ("r.csv", b"report_id,text\na,x\nb,y\0z\n", "line 3, column 'text': the report has NUL"),
        ("r.jsonl", b'{"text":"x"}\n{"txt":"PRIVATE"}\n', "line 2, column 'text': the report is m"),
        ("r.jsonl", b'{"text":"x"}\n{"text":3}\n', "line 2, column 'text': the value is a int"),
        ("r.jsonl", b'{"text":"PRIVATE"}\n{"text":', "line 2: not valid JSON"),
        ("r.jsonl", b'["PRIVATE"]\n', "line 1: a JSON list"),
        ("r.jsonl", b'{"text":"\\ud800"}\n', "character 0 of the report is half a surrogate"),
        ("r.csv", b'text,x\nok,1\n"PRIVATE,2\n', "starts in line 3 is malformed"),
        ("r.csv", b"text,x\nPRIVATE,1,2\n", "starts in line 2 is malformed (3 fields where"),
        ("r.tsv", b"text\ttext\na\tb\n", "'text' appears twice"),
        ("r.docx", b"PK", "unknown suffix '.docx'"),
        ("r.parquet", b"PAR1", "not a readable parquet file"),
    ],
)
def test_bad_files_are_named_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = error_of(path)
    assert message in error
    assert "PRIVATE" not in error


def test_truncated_parquet(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a readable parquet file" in error_of(path)


def test_parquet_with_other_encoding(tmp_path: Path) -> None:
    binary = pa.array([b"fine", b"caf\xe9 PRIVATE"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, binary.buffers())
    path = tmp_path / "reports.parquet"
    pq.write_table(pa.table({"text": text}), path)
    message = error_of(path)
    assert "not UTF-8" in message
    assert "PRIVATE" not in message


def test_missing_path_and_folder_without_reports(tmp_path: Path) -> None:
    assert "does not exist" in error_of(tmp_path / "none.csv")
    assert "no .txt file" in error_of(tmp_path)


def test_blank_file_in_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("\n")
    assert "file b.txt" in error_of(tmp_path)


def test_wrong_column_lists_columns_and_suggests(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv")
    message = error_of(path, text_column="Texts")
    assert "no column 'Texts' (did you mean 'text'?); it has report_id, text, site" in message
    assert "no column 'case'; it has" in error_of(path, id_column="case")


def test_longest_report(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("text\n" + "x" * MAX_REPORT_BYTES + "\n")
    assert len(read_corpus(path).texts[0]) == MAX_REPORT_BYTES
    path.write_text("text\nfine\n" + "x" * (MAX_REPORT_BYTES - 1) + "µ\n")
    assert "line 3, column 'text': the report has 10,000,001 bytes" in error_of(path)


@pytest.mark.parametrize(
    ("repeated", "texts"),
    [("first", {"a": "no", "b": "tumor seen"}), ("longest", {"b": "tumor seen", "a": "no tumor"})],
)
def test_of_reports_with_one_id_one_is_kept(
    tmp_path: Path, repeated: RepeatedIds, texts: dict[str, str]
) -> None:
    path = tmp_path / "r.json"
    rows = [("a", "no"), ("b", "tumor seen"), ("a", "no tumor"), ("a", "of tumor")]
    path.write_text(json.dumps([{"report_id": name, "text": text} for name, text in rows]))
    corpus = read_corpus(path, repeated_ids=repeated)
    assert list(zip(corpus.ids, corpus.texts, strict=True)) == list(texts.items())
    assert corpus.sha256 == fingerprint(corpus.ids, corpus.texts)
    with pytest.raises(InputError, match="object 1 and object 3"):
        read_corpus(path)
