"""The written cohort: eva accepts it, a seed fixes it, and the truth is kept apart."""

import re
from pathlib import Path

import pandas as pd
import pytest
from eva.vision.data import datasets

from clipit_eva.demo.cohort import Cohort, make_cohort
from clipit_eva.demo.tissue import KINDS, SIZE
from clipit_eva.files import sha256_file


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("first"), seed=5)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


@pytest.mark.parametrize(("split", "length"), [("train", 268), ("val", 132)])
def test_eva_accepts_the_folder(cohort: Cohort, split, length: int) -> None:
    dataset = datasets.BACH(root=str(cohort.bach), split=split)
    dataset.prepare_data()
    dataset.setup()
    assert len(dataset) == length
    assert tuple(dataset.classes) == KINDS
    image, target, _ = dataset[0]
    assert image.shape == (3, SIZE, SIZE)
    assert int(target) == 0
    names = [dataset.filename(i) for i in range(len(dataset))]
    assert all(
        re.fullmatch(r"(Benign/b|InSitu/is|Invasive/iv|Normal/n)\d{3}\.tif", n) for n in names
    )


@pytest.mark.slow
def test_a_seed_fixes_every_byte(cohort: Cohort, tmp_path: Path) -> None:
    again, other = (make_cohort(tmp_path / str(seed), seed) for seed in (5, 6))
    first = _digests(cohort.reports.parent)
    assert len(first) == 402
    assert _digests(again.reports.parent) == first
    shared = set(first.items()) & set(_digests(other.reports.parent).items())
    assert shared == set()


def test_reports_hold_no_truth(cohort: Cohort) -> None:
    reports, truth = pd.read_parquet(cohort.reports), pd.read_csv(cohort.truth)
    assert list(reports) == ["report_id", "text"]
    assert reports["report_id"].is_unique
    assert list(truth["report_id"]) == list(reports["report_id"])
    assert truth["patient_id"].is_unique
    assert truth["described_class"].value_counts().to_dict() == dict.fromkeys(KINDS, 100)
    # Were the rows sorted by class, neighbours would agree 396 times; by chance about 100.
    same = (truth["described_class"] == truth["described_class"].shift()).sum()
    assert 70 < same < 130
