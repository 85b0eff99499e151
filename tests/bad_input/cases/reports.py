"""Reports that are none, or not those that were meant."""

import io
from pathlib import Path

import pandas as pd
from wrong_input import Case

PAIRING = "eva predict pairing/bach"
GOOD = b"report_id,text\nr1,zanzibar gland\nr2,zanzibar stroma\n"


def _file(
    wrong: str, name: str, content: bytes | None, names: str = "", quotes: bool = False
) -> Case:
    """A case of one file of reports; without content it is not there."""
    files = {} if content is None else {name: content}
    return Case(wrong, PAIRING, {"REPORTS": name}, files, names=names or name, quotes=quotes)


def _parquet(**columns: object) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def _folder(folder: Path, _: Path) -> None:
    (folder / "reports.csv").mkdir()


def _setting(wrong: str, name: str, value: str, files: dict[str, bytes] | None = None) -> Case:
    """A case of one setting of how reports are read."""
    given = {"reports.csv": GOOD, **(files or {})}
    return Case(wrong, PAIRING, {"REPORTS": "reports.csv", name: value}, given, names=name)


PLAIN = [
    Case("`REPORTS` is not set", PAIRING, {"REPORTS": None}, names="REPORTS"),
    _file("the file is not there", "none.csv", None),
    _file("an empty file", "r.txt", b""),
    _file("a byte order mark and nothing else", "r.txt", b"\xef\xbb\xbf"),
    _file("the same as a table", "r.csv", b"\xef\xbb\xbf"),
    _file("blank lines alone", "r.txt", b"\n  \n\t\n"),
    _file("characters without ink alone", "r.txt", "\u200b\n\u200b\n".encode()),
    _file("NUL in a report", "r.txt", b"zanzibar\0gland\n"),
    _file("Latin-1", "r.txt", b"zanzibar\nzanzibar \xfc\n"),
    _file("UTF-16, as spreadsheets save it", "r.csv", GOOD.decode().encode("utf-16")),
    _file("a spreadsheet", "r.xlsx", b"PK\x03\x04"),
    _file("a spreadsheet that is called .csv", "r.csv", b"PK\x03\x04\x14\x00\xff\xfe"),
    _file("no suffix", "reports", GOOD),
    Case("a folder without text files", PAIRING, {"REPORTS": "reports.csv"}, spoil=_folder),
    Case(
        "two texts of one name in the folder",
        PAIRING,
        {"REPORTS": "reports"},
        {"reports/a.txt": b"zanzibar", "reports/a.TXT": b"zanzibar"},
    ),
]

TABLES = [
    _file("a header and no row", "r.csv", b"report_id,text\n"),
    _file("no text column", "r.csv", b"report_id,body\nr1,zanzibar\n", "body"),
    _file("semicolons as separators", "r.csv", b"report_id;text\nr1;zanzibar\n", "report_id;text"),
    _file("commas in a .tsv", "r.tsv", GOOD, "report_id,text"),
    _file("a column twice", "r.csv", b"report_id,text,text\nr1,zanzibar,b\n"),
    _file("an id twice", "r.csv", b"report_id,text\nr7,zanzibar\nr7,b\n", "r7"),
    _file("a blank id", "r.csv", b"report_id,text\n ,zanzibar\n"),
    _file("a row too long", "r.csv", b"report_id,text\nr1,zanzibar,b\n"),
    _file("a quote that is not closed", "r.csv", b'report_id,text\nr1,"zanzibar\n', quotes=True),
    _file("a blank report", "r.csv", b"report_id,text\nr1,zanzibar\nr2, \n"),
    _file("`nan` as a report", "r.csv", b"report_id,text\nr1,zanzibar\nr2,nan\n"),
    Case(
        "an unknown `REPORT_COLUMN`",
        PAIRING,
        {"REPORTS": "r.csv", "REPORT_COLUMN": "txt"},
        {"r.csv": GOOD},
        names="txt",
    ),
    _file("JSON cut off", "r.json", b'[{"text": "zanzibar"}', quotes=True),
    _file("JSON that is no list", "r.json", b'{"text": "zanzibar"}'),
    _file("JSON that does not parse", "r.jsonl", b'{"text": "zanzibar"\n', quotes=True),
    _file("a JSON list instead of objects", "r.jsonl", b'["zanzibar"]\n'),
    _file("a number as a report", "r.jsonl", b'{"text": 7}\n'),
    _file("an object without a text", "r.jsonl", b'{"text": "zanzibar"}\n{"body": "b"}\n'),
    _file("half a surrogate pair", "r.jsonl", b'{"text": "zanzibar \\ud800"}\n'),
    _file("a parquet file cut off", "r.parquet", _parquet(text=["zanzibar"])[:-20], quotes=True),
    _file("text that is called .parquet", "r.parquet", GOOD, quotes=True),
    _file("numbers as reports", "r.parquet", _parquet(text=[1, 2])),
    _file("lists as reports", "r.parquet", _parquet(text=[["zanzibar"], ["b"]])),
    _file("a missing report", "r.parquet", _parquet(text=["zanzibar", None])),
    _file("no column at all", "r.parquet", _parquet(), quotes=True),
]

SETTINGS = [
    _setting("an unknown policy", "REPORT_POLICY", "summarise"),
    _setting("a filter on an unknown column", "REPORT_FILTER", "{part: [1]}"),
    _setting("a filter that nothing passes", "REPORT_FILTER", "{report_id: [r9]}"),
    _setting("a filter that is no mapping", "REPORT_FILTER", "part"),
    _setting("a list of patients that is not there", "REPORT_PATIENTS", "patients.txt"),
    _setting("an empty list of patients", "REPORT_PATIENTS", "p.txt", {"p.txt": b"\n"}),
    _setting("a list of patients in Latin-1", "REPORT_PATIENTS", "p.txt", {"p.txt": b"\xfc"}),
    _setting("patients without reports", "REPORT_PATIENTS", "p.txt", {"p.txt": b"x\n"}),
    _setting("an unknown TCGA project", "REPORT_PROJECTS", "[BRAC]"),
    _setting("an unknown tissue", "REPORT_TISSUE", "braest"),
    _setting("a tissue that no report is of", "REPORT_TISSUE", "breast"),
    _setting("an unknown way with duplicates", "REPORT_DUPLICATES", "drop"),
    _setting("an unknown way with repeated ids", "REPORT_REPEATED_IDS", "last"),
    _setting("cleaning neither on nor off", "REPORT_CLEANING", "perhaps"),
    Case("prompts of an unknown task", PAIRING, {"REPORTS": "prompts:bahc"}),
    Case(
        "prompts of a card without words",
        PAIRING,
        {"REPORTS": "prompts:card.yaml"},
        {
            "card.yaml": b"title: T\ndataset: a.B\nsplits: {train: train, test: test}\n"
            b"classes: [a, b]\nmetric: val/x\npatience: 1\n"
        },
    ),
]

CASES = [*PLAIN, *TABLES, *SETTINGS]
