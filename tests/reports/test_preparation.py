"""Selection, cleaning and duplicates as settings."""

import logging
from pathlib import Path

import pandas as pd
import pytest

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.preparation import ReportPreparation, prepare
from clipit_eva.reports.prompts import read_prompts
from clipit_eva.tasks.card import read_card, shipped_cards


@pytest.fixture
def corpus() -> ReportCorpus:
    rows = [
        ("TCGA-AA-3675.1", "Adenocarcinoma of the colon, moderately differentiated, pT3.", "1"),
        ("TCGA-AA-3675.2", "Adenocarcinoma  of the colon,\nmoderately differentiated, pT3.", "2"),
        ("TCGA-A6-2671.1", "Tubular adenoma [REDACTED] with low grade dysplasia.", "1"),
        ("TCGA-A6-2671.2", "Tubular adenoma [REDACTED] with low grade dysplasia.", "2"),
        ("TCGA-BH-A0B3.1", "Invasive ductal carcinoma of the breast, grade 2.", "1"),
    ]
    table = pd.DataFrame(rows, columns=["report_id", "text", "part"])
    return ReportCorpus.from_table(table, "test")


def ids(corpus: ReportCorpus, **settings: object) -> list[str]:
    kept = prepare(corpus, ReportPreparation(**settings))  # type: ignore[arg-type]
    return [name.removeprefix("TCGA-") for name in kept.ids]


def test_nothing_is_done_by_default_but_said(corpus, caplog) -> None:
    with caplog.at_level(logging.INFO):
        assert prepare(corpus, ReportPreparation()) is corpus
    assert "1 of 5 reports repeat an earlier one's text" in caplog.text
    assert "adenoma" not in caplog.text


def test_each_setting_selects(corpus, tmp_path: Path) -> None:
    # As Excel writes it: a byte order mark, and CR LF.
    (tmp_path / "patients.txt").write_bytes(b"\xef\xbb\xbfTCGA-A6-2671\r\n\r\nTCGA-BH-A0B3\r\n")
    assert ids(corpus, columns={"part": "2"}) == ["AA-3675.2", "A6-2671.2"]
    patients = str(tmp_path / "patients.txt")
    assert ids(corpus, patients=patients) == ["A6-2671.1", "A6-2671.2", "BH-A0B3.1"]
    assert ids(corpus, projects=["BRCA"]) == ["BH-A0B3.1"]
    assert ids(corpus, tissue="colon")[-1] == "A6-2671.2"
    assert ids(corpus, duplicates="drop_exact") == [
        "AA-3675.1", "AA-3675.2", "A6-2671.1", "BH-A0B3.1"
    ]  # fmt: skip
    assert ids(corpus, duplicates="drop_near") == ["AA-3675.1", "A6-2671.1", "BH-A0B3.1"]
    both = {"columns": {"part": ["1", "2"]}, "tissue": "colon", "duplicates": "drop_near"}
    assert ids(corpus, **both) == ["AA-3675.1", "A6-2671.1"]


def test_cleaning_comes_before_duplicates(corpus) -> None:
    kept = prepare(corpus, ReportPreparation(cleaning=True, duplicates="drop_exact"))
    assert not any("REDACTED" in text for text in kept.texts)
    assert kept.sha256 != corpus.sha256


@pytest.mark.parametrize("content", [None, b"\n \n", b"\xff\xfe"])
def test_a_bad_list_of_patients_is_named(corpus, tmp_path: Path, content) -> None:
    path = tmp_path / "patients.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"REPORT_PATIENTS: {path}"):
        prepare(corpus, ReportPreparation(patients=str(path)))


@pytest.mark.parametrize("task", shipped_cards())
def test_prompts_name_each_class_as_often(task: str) -> None:
    table = read_prompts(f"prompts:{task}").table
    assert table["class"].value_counts().nunique() == 1
    assert set(table["class"]) == set(read_card(shipped_cards()[task]).classes)
    assert table["text"].is_unique


def test_unknown_prompts_are_named() -> None:
    with pytest.raises(InputError, match="REPORTS=prompts:liver: no such prompts; there are bach"):
        read_prompts("prompts:liver")


def test_prompts_of_a_card_of_one_s_own(tmp_path: Path) -> None:
    card = tmp_path / "mine.yaml"
    shipped = shipped_cards()["bach"].read_text()
    card.write_text(shipped.replace("normal breast tissue", "nothing to see"))
    assert "nothing to see." in read_prompts(f"prompts:{card}").texts
    words = shipped.index("words:")
    card.write_text(shipped[:words] + shipped[shipped.index("metric:") :])
    with pytest.raises(InputError, match=f"REPORTS=prompts:{card}: the card lacks `words`"):
        read_prompts(f"prompts:{card}")


def test_what_was_prepared_is_read_again_and_made_again_if_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["Tumor  3 cm", "-----", "Tumor 3 cm", "No tumor"]
    table = pd.DataFrame({"report_id": list("abcd"), "text": texts, "site": list("wxyz")})
    corpus = ReportCorpus.from_table(table, "r.csv")
    preparation = ReportPreparation(cleaning=True, duplicates="drop_exact")
    made = prepare(corpus, preparation, tmp_path)
    assert made.ids == ["a", "d"]
    (file,), (dropped,) = tmp_path.glob("prepared-*.parquet"), tmp_path.glob("dropped-*.csv")
    assert dropped.read_text() == (
        "report_id,duplicate_of,kind,similarity\nb,,nothing but marks,\nc,a,exact,1.0\n"
    )
    caplog.set_level(logging.INFO)
    again = prepare(corpus, preparation, tmp_path)
    pd.testing.assert_frame_equal(again.table, made.table)
    assert "cleaned" not in caplog.text
    assert f"2 reports are dropped; {dropped} says why" in caplog.text
    whole = file.read_bytes()
    for damaged in (whole[:-9], b"", whole.replace(b"Tumor 3 cm", b"Tumor 9 cm")):
        file.write_bytes(damaged)
        assert prepare(corpus, preparation, tmp_path).sha256 == made.sha256
        assert file.read_bytes() == whole
    other = ReportCorpus.from_table(table.assign(text="other"), "r.csv")
    assert prepare(other, preparation, tmp_path).texts == ["other"]
