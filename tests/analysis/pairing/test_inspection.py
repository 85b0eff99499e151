"""Diagnostics as files, on BACH's layout."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clipit_eva import cli
from clipit_eva.demo.cohort import Cohort, make_cohort
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs
from clipit_eva.reports.corpus import read_corpus

BACH = "eva.vision.data.datasets.classification.bach.BACH"
LENGTHS = {"train": 268, "val": 132}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("cohort"), seed=1)


@pytest.fixture
def make_table(cohort: Cohort, tmp_path: Path):
    """Returns a function that writes a table in which every image has a random report."""
    corpus = read_corpus(cohort.reports)

    def make(policy: str, seed: int, dataset: str = BACH) -> Path:
        generator = np.random.default_rng(seed)
        parts = []
        for split, length in LENGTHS.items():
            rows = generator.integers(len(corpus), size=(length, 1))
            cosines = generator.random((length, 1)).astype(np.float32)
            names = [f"{split}/{number}.tif" for number in range(length)]
            parts.append(make_pairs(split, names, corpus.ids, rows, cosines))
        datasets = {split: {"class": dataset, "length": n} for split, n in LENGTHS.items()}
        made = {"policy": {"name": policy}, "datasets": datasets, "reports": {"count": len(corpus)}}
        write_pairs(pd.concat(parts), tmp_path / f"{policy}.parquet", made)
        return tmp_path / f"{policy}.parquet"

    return make


def run(*words: object) -> int:
    return cli.main(["pairing", *map(str, words)])


def test_tables_are_described_and_compared(make_table, cohort, tmp_path, capsys) -> None:
    tables = make_table("nearest", 0), make_table("csls", 1)
    assert run(*tables, "--output", tmp_path / "out", "--images", cohort.bach) == 0
    printed = capsys.readouterr().out
    assert "occurrence_skewness" in printed
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == sorted(
        ["agreement.csv", "diagnostics.csv", "purity.csv"]
        + [f"{n}.{s}" for n in ("agreement", "occurrences", "similarities") for s in ("png", "svg")]
    )
    rows = pd.read_csv(tmp_path / "out" / "diagnostics.csv").set_index(["table", "split"])
    assert rows.index.tolist() == [(t, s) for t in ("nearest", "csls") for s in LENGTHS]
    # Random pairs are as pure as chance is; only train labels are read.
    train, val = rows.loc[("nearest", "train")], rows.loc[("nearest", "val")]
    assert train["purity"] == pytest.approx(train["purity_by_chance"], abs=0.05)
    assert np.isnan(val["purity"])
    agreement = pd.read_csv(tmp_path / "out" / "agreement.csv", index_col=0)
    assert agreement.loc["nearest", "csls"] < 0.05


def test_no_report_text_unless_asked_for(make_table, cohort, tmp_path) -> None:
    table, out = make_table("nearest", 0), tmp_path / "out"
    texts = read_corpus(cohort.reports).texts
    beginnings = [" ".join(text.split()[:4]) for text in texts]
    assert run(table, "--output", out, "--images", cohort.bach, "--reports", cohort.reports) == 0
    content = "".join(path.read_text("utf-8") for path in out.glob("*.csv"))
    assert not any(beginning in content for beginning in beginnings)
    assert not (out / "gallery.html").exists()
    given = ["--output", out, "--images", cohort.bach, "--reports", cohort.reports]
    assert run(table, *given, "--gallery") == 0
    page = (out / "gallery.html").read_text("utf-8")
    assert page.count("<figure>") == 24
    assert page.count("data:image/png;base64,") == 24
    assert max(len(text.split()) for text in texts) > 30
    assert not any(" ".join(text.split()[:14]) in page for text in texts)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gallery"], "--gallery needs --output, --images and --reports"),
        (["--images", "/nowhere"], "--images /nowhere cannot be read as BACH"),
    ],
)
def test_mistakes_are_one_line(make_table, capsys, words, message) -> None:
    assert run(make_table("nearest", 0), *words) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_a_table_names_no_code_to_run(make_table, cohort, capsys) -> None:
    table = make_table("nearest", 0, dataset="os.path")
    assert run(table, "--images", cohort.bach) == 2
    assert "no dataset of eva's" in capsys.readouterr().err


def test_clip_models_are_listed(capsys) -> None:
    assert cli.main(["clip-models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["conch", "plip"]
