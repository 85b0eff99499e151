"""Numbers that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.pairing import diagnostics
from clipit_eva.pairing.pairing_table import make_pairs

IDS = [f"r{number}" for number in range(20)]


def pairs(rows: list[list[int]], cosines: list[list[float]] | None = None) -> pd.DataFrame:
    neighbours = np.array(rows)
    values = np.zeros(neighbours.shape) if cosines is None else np.array(cosines)
    names = [f"{number}.png" for number in range(len(rows))]
    return make_pairs("train", names, IDS, neighbours, values.astype(np.float32))


def test_use_of_reports_is_counted() -> None:
    table = pairs([[0, 1], [0, 2], [0, 1], [3, 0]])
    counts = diagnostics.occurrences(table, IDS)
    assert counts[["r0", "r1", "r2", "r3", "r4"]].tolist() == [4, 2, 1, 1, 0]
    summary = diagnostics.summarize(table, 20)
    assert summary["reports_used"] == 4
    assert summary["share_used"] == 0.2
    assert summary["top_reports_share"] == 1
    assert "purity" not in summary


def test_share_of_the_ten_most_used() -> None:
    rows = [[n] for n in range(15)] + [[0]] * 5
    assert diagnostics.summarize(pairs(rows), 20)["top_reports_share"] == (6 + 9) / 20


def test_skewness_is_that_of_all_reports_counts() -> None:
    table = pairs([[0]] * 8 + [[1], [2]])
    counts = np.array([8, 1, 1] + [0] * 17, dtype=float)
    centred = counts - counts.mean()
    expected = (centred**3).mean() / (centred**2).mean() ** 1.5
    assert diagnostics.summarize(table, 20)["occurrence_skewness"] == pytest.approx(expected)
    even = diagnostics.summarize(pairs([[n] for n in range(20)]), 20)
    assert np.isnan(even["occurrence_skewness"])


def test_similarities_are_of_the_best_report() -> None:
    table = pairs([[0, 1], [1, 0]], [[0.9, 0.5], [0.7, 0.6]])
    summary = diagnostics.summarize(table, 20)
    assert summary["similarity_mean"] == pytest.approx(0.8)
    assert summary["similarity_min"] == pytest.approx(0.7)
    assert summary["margin_mean"] == pytest.approx(0.25)
    assert np.isnan(diagnostics.summarize(pairs([[0]]), 20)["margin_mean"])


def test_purity_against_chance() -> None:
    labels = dict(enumerate([0] * 50 + [1] * 50))
    pure = pairs([[0]] * 50 + [[1]] * 50)
    summary = diagnostics.summarize(pure, 20, labels)
    assert summary["purity"] == 1
    assert summary["purity_by_chance"] == pytest.approx(0.54, abs=0.04)
    alone = diagnostics.summarize(pairs([[n] for n in range(20)]), 20, labels)
    assert alone["purity"] == alone["purity_by_chance"] == 1


def test_purity_of_each_report() -> None:
    table = diagnostics.purity_of_reports(pairs([[0], [0], [0], [5]]), {0: 1, 1: 1, 2: 0, 3: 2})
    assert table.to_dict("list") == {
        "report_id": ["r0", "r5"],
        "images": [3, 1],
        "class": [1, 2],
        "share": [2 / 3, 1.0],
    }


def test_agreement_is_of_the_best_report() -> None:
    one, other = pairs([[0, 1], [2, 3], [4, 5], [6, 7]]), pairs([[0, 9], [3, 2], [4, 5], [7, 6]])
    assert diagnostics.agreement(one, other) == 0.5
    table = diagnostics.agreements({"nearest": one, "csls": other})
    assert table.to_numpy().tolist() == [[1, 0.5], [0.5, 1]]
    assert np.isnan(diagnostics.agreement(one, other.assign(split="val")))
