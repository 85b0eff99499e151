"""Pairing tables that are none, or of other data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from wrong_input import Case

from clipit_eva import files
from clipit_eva.pairing.pairing_table import read_pairs

CLIP_IT = "eva fit clip_it/bach"
Change = Callable[[pd.DataFrame, dict[str, Any]], tuple[pd.DataFrame, dict[str, Any]]]


def _table(change: Change) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, shared: Path) -> None:
        pairs, made = change(*read_pairs(shared / "pairs.parquet"))
        files.write_table(pairs, folder / "pairs.parquet", provenance=made)

    return spoil


def _case(wrong: str, change: Change, names: str, command: str = CLIP_IT) -> Case:
    variables = {"PAIRING_TABLE": "pairs.parquet"}
    return Case(wrong, command, variables, spoil=_table(change), names=names)


def _made(part: str, **facts: Any) -> Change:
    """Returns what changes facts of a part of the provenance."""

    def change(pairs: pd.DataFrame, made: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, Any]]:
        inner = made
        for name in part.split("."):
            inner = inner[name]
        inner.update(facts)
        return pairs, made

    return change


def _cut(folder: Path, shared: Path) -> None:
    content = (shared / "pairs.parquet").read_bytes()
    (folder / "pairs.parquet").write_bytes(content[: len(content) // 2])


OF_TRAINING = [
    Case("the table is not there", CLIP_IT, {"PAIRING_TABLE": "none.parquet"}),
    Case("the table is a folder", CLIP_IT, {"PAIRING_TABLE": "{shared}/bach"}, names="bach"),
    Case("no parquet file", CLIP_IT, {"PAIRING_TABLE": "pairs.parquet"},
         {"pairs.parquet": b"zanzibar"}, quotes=True),
    Case("a file cut off", CLIP_IT, {"PAIRING_TABLE": "pairs.parquet"}, spoil=_cut, quotes=True),
    Case("a predictions table instead", CLIP_IT,
         {"PAIRING_TABLE": "{shared}/clip_it/session/run_0/predictions.parquet"}, names="rank"),
    _case("a column is missing", lambda p, m: (p.drop(columns="rank"), m), "rank"),
    _case("a column of another type",
          lambda p, m: (p.assign(rank="best"), m), "rank"),
    _case("no provenance", lambda p, m: (p, {}), "split"),
    _case("another dataset", _made("datasets.train", **{"class": "eva.CRC"}), "eva.CRC"),
    _case("another length", _made("datasets.train", length=7), "7 images"),
    _case("other reports", _made("reports", sha256="0" * 64), "other reports"),
    _case("another CLIP model", _made("clip", model="other"), "CLIP_MODEL"),
    _case("an image without a pair", lambda p, m: (p.loc[p["index"] != 3], m), "TOP_K"),
    _case("no pair at all", lambda p, m: (p.iloc[:0], m), "TOP_K"),
    _case("every pair twice", lambda p, m: (pd.concat([p, p]), m), "TOP_K"),
    _case("other file names", lambda p, m: (p.assign(filename="x.tif"), m), "x.tif"),
    _case("a report that the corpus lacks", lambda p, m: (p.assign(report_id="zz"), m), "zz"),
    _case("a chunk that the report lacks", lambda p, m: (p.assign(chunk=3), m), "chunk 3"),
    _case("similarities that are no numbers", lambda p, m: (p.assign(similarity="high"), m),
          "similarity"),
    Case("more reports wanted than paired", CLIP_IT, {"TOP_K": "3"}),
    Case("`REPORTS` is not set", CLIP_IT, {"REPORTS": None}, names="REPORTS"),
    Case("other reports than were paired", CLIP_IT, {"REPORTS": "r.csv"},
         {"r.csv": b"report_id,text\nr1,zanzibar\n"}, names="other reports"),
]  # fmt: skip

OF_DIAGNOSTICS = [
    Case("no table is given", "clipit-eva pairing", names="TABLE"),
    Case("diagnostics of nothing", "clipit-eva pairing none.parquet", names="none.parquet"),
    Case("diagnostics of no parquet file", "clipit-eva pairing p.parquet",
         files={"p.parquet": b""}, quotes=True),
    Case("a gallery without images", "clipit-eva pairing {shared}/pairs.parquet --gallery"),
    Case("images that are not there",
         "clipit-eva pairing {shared}/pairs.parquet --images none --output out", names="--images"),
    Case("images of another dataset",
         "clipit-eva pairing {shared}/pairs.parquet --images {shared}/clip_it",
         names="--images", quotes=True),
    Case("a folder that is a file", "clipit-eva pairing {shared}/pairs.parquet --output out",
         files={"out": b""}, names="out"),
    Case("a gallery of other reports",
         "clipit-eva pairing {shared}/pairs.parquet --gallery --images {shared}/bach --output out "
         "--reports r.csv", files={"r.csv": b"report_id,text\nr1,zanzibar\n"}, names="report"),
    Case("an unknown column", "clipit-eva pairing {shared}/pairs.parquet --gallery "
         "--images {shared}/bach --output out --reports r.csv --report-column body",
         files={"r.csv": b"report_id,text\nr1,zanzibar\n"}, names="body"),
]  # fmt: skip

CASES = [*OF_TRAINING, *OF_DIAGNOSTICS]
