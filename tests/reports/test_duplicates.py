"""Duplicates are those of a brute-force comparison, and the first report is kept."""

import random
import re
import time

import pandas as pd
import pytest

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.duplicates import SHINGLE_WORDS, drop_duplicates, find_duplicates

VOCABULARY = [f"word{number}" for number in range(3000)]


def corpus_of(texts: list[str]) -> ReportCorpus:
    ids = [f"r{number}" for number in range(len(texts))]
    return ReportCorpus.from_table(pd.DataFrame({"report_id": ids, "text": texts}), "r.csv")


def random_text(rng: random.Random, length: int = 400) -> str:
    return " ".join(rng.choices(VOCABULARY, k=length))


def edited(rng: random.Random, text: str, edits: int) -> str:
    words = text.split()
    for place in rng.sample(range(len(words)), edits):
        words[place] = rng.choice(VOCABULARY)
    return " ".join(words)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    size = min(SHINGLE_WORDS, len(words))
    return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)} if words else set()


def brute_force(texts: list[str], threshold: float) -> list[tuple[str, str, float]]:
    """Near duplicates of distinct texts, keeping the first, without hashes."""
    sets = [shingles(text) for text in texts]
    kept: list[int] = []
    found = []
    for row, own in enumerate(sets):
        for other in kept:
            union = len(own | sets[other])
            similarity = len(own & sets[other]) / union if union else 0
            if similarity >= threshold:
                found.append((f"r{row}", f"r{other}", similarity))
                break
        else:
            kept.append(row)
    return found


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.95])
def test_near_duplicates_equal_brute_force(threshold: float) -> None:
    rng = random.Random(1)
    originals = [random_text(rng, rng.randint(40, 300)) for _ in range(30)]
    texts = [
        edited(rng, text, rng.randint(1, 12)) if copy else text
        for copy in range(5)
        for text in originals
    ]
    table = find_duplicates(corpus_of(texts), threshold)
    expected = brute_force(texts, threshold)
    assert 5 < len(expected) < 120
    assert set(table["kind"]) == {"near"}
    rows = table[["report_id", "duplicate_of", "similarity"]].itertuples(index=False, name=None)
    assert list(rows) == expected


def test_exact_duplicates_and_what_equals_a_near_one() -> None:
    rng = random.Random(2)
    first = random_text(rng)
    near = first.upper() + " the end"
    texts = [first, random_text(rng), first, near, near, "...", "...", "???"]
    table = find_duplicates(corpus_of(texts))
    assert table[["report_id", "duplicate_of", "kind"]].to_numpy().tolist() == [
        ["r2", "r0", "exact"],
        ["r3", "r0", "near"],
        ["r4", "r0", "exact"],
        ["r6", "r5", "exact"],
    ]
    assert table["similarity"].iloc[0] == 1
    assert 0.9 < table["similarity"].iloc[1] < 1


def test_dropping_keeps_the_first() -> None:
    corpus = corpus_of(["a b c d", "x", "A b, c D.", "x"])
    table = find_duplicates(corpus)
    assert drop_duplicates(corpus, table).ids == ["r0", "r1"]
    assert find_duplicates(drop_duplicates(corpus, table)).empty


def test_different_patients_on_one_form_are_kept() -> None:
    form = random_text(random.Random(4), 60)
    texts = [f"{form} lobular", f"{form} ductal", f"{form} ductal too", f"{form} ductal"]
    ids = ["TCGA-A6-2671.1", "TCGA-A6-2672.1", "TCGA-A6-2672.2", "TCGA-A6-2673.1"]
    table = pd.DataFrame({"report_id": ids, "text": texts})
    found = find_duplicates(ReportCorpus.from_table(table, "r.csv"))
    assert found[["report_id", "duplicate_of", "kind"]].to_numpy().tolist() == [
        [ids[2], ids[1], "near"],
        [ids[3], ids[1], "exact"],
    ]


def test_no_duplicates_gives_an_empty_table_of_the_same_form() -> None:
    table = find_duplicates(corpus_of(["a", "b"]))
    assert table.columns.tolist() == ["report_id", "duplicate_of", "kind", "similarity"]
    assert table.empty


@pytest.mark.parametrize("threshold", [0, 1.1, float("nan")])
def test_bad_threshold(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        find_duplicates(corpus_of(["a"]), threshold)


def test_real_reports(colon_reports: ReportCorpus) -> None:
    assert len(find_duplicates(colon_reports)) < 5


@pytest.mark.slow
def test_ten_thousand_reports_in_a_minute() -> None:
    rng = random.Random(3)
    texts = [random_text(rng) for _ in range(9_000)]
    texts += [edited(rng, text, 5) for text in texts[:1_000]]
    corpus = corpus_of(texts)
    assert sum(map(len, texts)) > 10_000 * 3_000
    start = time.perf_counter()
    table = find_duplicates(corpus)
    assert time.perf_counter() - start < 60
    assert table["report_id"].tolist() == [f"r{row}" for row in range(9_000, 10_000)]
