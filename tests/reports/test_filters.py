"""Filters keep the rows asked for and name what does not exist."""

import logging

import pandas as pd
import pytest

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.filters import by_column, by_patients, by_projects, by_tissue

IDS = ["TCGA-AA-3675.u1", "TCGA-A1-A0SB.u2", "TCGA-AG-3582.u3", "TCGA-AA-3675.u4", "local-7"]


@pytest.fixture
def corpus() -> ReportCorpus:
    table = pd.DataFrame(
        {
            "report_id": IDS,
            "text": ["secret a", "secret b", "secret c", "secret d", "secret e"],
            "site": ["colon", "breast", "rectum", "colon", "colon"],
            "year": [2001, 2002, 2001, 2003, 2003],
        }
    )
    return ReportCorpus.from_table(table, "reports.csv")


def test_by_column(corpus: ReportCorpus) -> None:
    assert by_column(corpus, "site", "colon").ids == [IDS[0], IDS[3], IDS[4]]
    assert by_column(corpus, "site", ["rectum", "breast"]).ids == [IDS[1], IDS[2]]
    assert by_column(corpus, "year", [2001, "2002"]).ids == IDS[:3]
    assert by_column(corpus, "site", "colon").table.index.tolist() == [0, 1, 2]


def test_by_column_that_is_not_there(corpus: ReportCorpus) -> None:
    with pytest.raises(InputError, match=r"no column 'sites' \(did you mean 'site'\?\)"):
        by_column(corpus, "sites", "colon")
    with pytest.raises(InputError, match=r"no 'colno' in column 'site' \(did you mean 'colon'\?\)"):
        by_column(corpus, "site", ["breast", "colno"])


def test_by_patients(corpus: ReportCorpus, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        kept = by_patients(corpus, ["TCGA-AA-3675-01A", " local-7\n", "TCGA-ZZ-0000"])
    assert kept.ids == [IDS[0], IDS[3], IDS[4]]
    assert "1 of 3 patients have no report" in caplog.text
    assert "secret" not in caplog.text
    with pytest.raises(InputError, match=r"none has report_id of 1 patients"):
        by_patients(corpus, ["TCGA-AA-367"])


def test_by_projects(corpus: ReportCorpus, caplog: pytest.LogCaptureFixture) -> None:
    assert by_projects(corpus, "TCGA-COAD").ids == [IDS[0], IDS[3]]
    assert "1 of 5 reports have no known TCGA barcode" in caplog.text
    assert by_projects(corpus, ["read", "BRCA"]).ids == [IDS[1], IDS[2]]
    with pytest.raises(InputError, match=r"project 'COAT' is unknown \(did you mean 'COAD'\?\)"):
        by_projects(corpus, "COAT")
    with pytest.raises(InputError, match=r"none has TCGA project in UVM"):
        by_projects(corpus, "UVM")


def test_by_tissue(corpus: ReportCorpus) -> None:
    assert by_tissue(corpus, "Colorectum").ids == [IDS[0], IDS[2], IDS[3]]
    assert by_tissue(corpus, "breast").ids == [IDS[1]]
    with pytest.raises(InputError, match=r"tissue 'brest' is unknown \(did you mean 'breast'\?\)"):
        by_tissue(corpus, "brest")
