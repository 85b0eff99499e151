"""The reports: their length, their noise, and that they give nothing away but the tissue."""

import re

import numpy as np
import pytest

from clipit_eva.demo.report_wording import write_report
from clipit_eva.demo.tissue import ATTRIBUTES, KINDS, Tissue, sample_tissue


def _reports(count: int) -> list[str]:
    rng = np.random.default_rng(11)
    return [write_report(sample_tissue(KINDS[i % 4], rng), rng) for i in range(count)]


def test_length_is_40_to_250_words() -> None:
    lengths = [len(report.split()) for report in _reports(400)]
    assert min(lengths) >= 40
    assert max(lengths) <= 250


def test_no_report_names_a_class_or_a_file() -> None:
    names = re.compile(
        r"\b(benign|insitu|in situ|invasive|normal|(b|is|iv|n)\d{3}|\w+\.tif)\b", re.I
    )
    assert [report for report in _reports(400) if names.search(report)] == []


def test_same_seed_same_words() -> None:
    assert _reports(8) == _reports(8)
    assert len(set(_reports(100))) == 100


@pytest.mark.parametrize(
    ("value", "said", "unsaid"),
    [(0.0, "no visible", "vesicular"), (1.0, "vesicular", "no visible")],
)
def test_attributes_choose_the_words(value: float, said: str, unsaid: str) -> None:
    tissue = Tissue("Benign", **dict.fromkeys(ATTRIBUTES, value))
    rng = np.random.default_rng(4)
    text = " ".join(write_report(tissue, rng) for _ in range(60))
    assert said in text
    assert unsaid not in text


def test_some_words_are_broken_and_most_are_not() -> None:
    """Every clean word of these constant headings can be counted; OCR spoils some of them."""
    reports = _reports(400)
    clean = np.mean(["MICROSCOPIC DESCRIPTION:" in report for report in reports])
    assert 0.5 < clean < 0.95
