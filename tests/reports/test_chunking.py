"""Chunks cover the text, fit and keep the order, whatever the tokenizer."""

import logging
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.reports.chunking import CountTokens, split_sections, split_sentences
from clipit_eva.reports.corpus import MISSING_WORDS, ReportCorpus
from clipit_eva.reports.report_chunks import split_reports

SPECIAL = 2


def words(texts: Sequence[str]) -> list[int]:
    return [SPECIAL + len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    return [SPECIAL + len(text) for text in texts]


def superadditive(texts: Sequence[str]) -> list[int]:
    """A tokenizer for which a text has more tokens than its parts."""
    return [SPECIAL + len(text.split()) + len(text.split()) // 3 for text in texts]


COUNTERS = pytest.mark.parametrize("count", [words, characters, superadditive])

PIECES = [
    *("DIAGNOSIS: ", "GROSS DESCRIPTION: ", "A. ", "1. ", "12.5 cm. ", "Colon, no tumor. "),
    *("node ", "x" * 40, " ", "\n", "\n\n", "pT3; ", "(see note.) ", "Dr. B. ", "e.g. "),
]
report_texts = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=40).map("".join)
    | st.text(min_size=1, max_size=80)
).filter(
    lambda text: (
        "\0" not in text
        and any(letter.isprintable() for letter in text.strip())
        and text.strip().casefold() not in MISSING_WORDS
    )
)


def corpus_of(*texts: str) -> ReportCorpus:
    ids = [f"r{number}" for number in range(len(texts))]
    return ReportCorpus.from_table(pd.DataFrame({"report_id": ids, "text": texts}), "r.csv")


def without_space(text: str) -> str:
    return "".join(text.split())


@COUNTERS
@given(texts=st.lists(report_texts, min_size=1, max_size=4), room=st.integers(2, 40))
def test_chunks_cover_fit_and_keep_the_order(
    count: CountTokens, texts: list[str], room: int
) -> None:
    corpus = corpus_of(*texts)
    chunks = split_reports(corpus, "chunk", SPECIAL + room, count)
    table = chunks.table.assign(text=chunks.texts)
    assert max(count(chunks.texts)) <= SPECIAL + room
    assert table["report"].is_monotonic_increasing
    for row, text in enumerate(corpus.texts):
        own = table[table["report"] == row]
        assert own["chunk"].tolist() == list(range(len(own)))
        assert without_space("".join(own["text"])) == without_space(text)
        assert all(chunk == chunk.strip() != "" for chunk in own["text"])
    assert chunks.dropped == 0


@given(text=report_texts, room=st.integers(2, 40))
def test_a_word_that_fits_is_never_cut(text: str, room: int) -> None:
    chunks = split_reports(corpus_of(text), "chunk", SPECIAL + room, characters)
    found = [word for chunk in chunks.texts for word in chunk.split()]
    fitting = [word for word in text.split() if len(word) <= room]
    assert [word for word in fitting if word not in found] == []


@given(text=report_texts)
def test_sections_and_sentences_join_to_the_text(text: str) -> None:
    assert "".join(split_sections(text)) == text
    assert "".join(split_sentences(text)) == text


def test_sections() -> None:
    text = "GROSS DESCRIPTION: Colon. MICRO: T3.\n\nNote: free margins"
    assert split_sections(text) == [
        *("GROSS DESCRIPTION: Colon. ", "MICRO: T3.\n\n", "Note: free margins")
    ]


def test_sentences() -> None:
    text = "A. Colon, 4.5 cm. No tumor; Dr. B. Smith\n12. Node 0/3."
    assert split_sentences(text) == [
        *("A. Colon, 4.5 cm. ", "No tumor; ", "Dr. ", "B. Smith\n", "12. Node 0/3.")
    ]


def test_chunks_end_at_section_then_sentence_borders() -> None:
    text = "ONE: a b c. d e f. TWO: g h. i j k l. THREE: m n o p q r s t u v w x y z."
    chunks = split_reports(corpus_of(text), "chunk", SPECIAL + 11, words)
    assert chunks.texts == [
        "ONE: a b c. d e f.",
        "TWO: g h. i j k l.",
        "THREE: m n o p q r s t u",
        "v w x y z.",
    ]


def test_short_reports_stay_whole() -> None:
    corpus = corpus_of("a b. c", "d " * 9, "e")
    chunks = split_reports(corpus, "mean", SPECIAL + 4, words)
    assert chunks.table["report"].tolist() == [0, 1, 1, 1, 2]
    assert split_reports(corpus, "chunk", SPECIAL + 4, words).ids == ["r0", "r1", "r1", "r1", "r2"]
    assert chunks.table["chunk"].tolist() == [0, 0, 1, 2, 0]
    assert chunks.table.dtypes.astype(str).to_dict()["chunk"] == "int32"
    assert chunks.table.dtypes.astype(str).to_dict()["report"] == "int64"
    assert chunks.texts[0] == "a b. c"


def test_truncation_leaves_the_text_and_says_what_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    corpus = corpus_of("secret " * 10, "b c")
    with caplog.at_level(logging.INFO):
        chunks = split_reports(corpus, "truncate", SPECIAL + 4, words)
    assert chunks.texts == corpus.texts
    alone = [split_reports(corpus_of(t), "truncate", SPECIAL + 4, words) for t in corpus.texts]
    np.testing.assert_allclose([chunks.dropped for chunks in alone], [0.6, 0])
    assert chunks.dropped == pytest.approx(6 / 12)
    assert "1 of 2 reports are longer than 6 tokens" in caplog.text
    assert "drops 50.0% of the tokens" in caplog.text
    assert "secret" not in caplog.text


def test_tokens_are_counted_in_few_calls() -> None:
    calls = []

    def count(texts: Sequence[str]) -> list[int]:
        calls.append(len(texts))
        return words(texts)

    texts = [f"Report {n} has a sentence. And another one here. " * 5 for n in range(200)]
    split_reports(corpus_of(*texts), "chunk", SPECIAL + 20, count)
    assert len(calls) <= 5


def test_bad_settings() -> None:
    with pytest.raises(InputError, match=r"policy 'middle' .* truncate, chunk, mean"):
        split_reports(corpus_of("a"), "middle", 10, words)
    with pytest.raises(InputError, match="budget of 2 tokens has no room beside 2 special"):
        split_reports(corpus_of("a"), "chunk", 2, words)
    with pytest.raises(InputError, match="too few for one character"):
        split_reports(corpus_of("ab"), "chunk", 3, lambda texts: [4 * len(t) for t in texts])


def test_real_reports(colon_reports: ReportCorpus) -> None:
    chunks = split_reports(colon_reports, "chunk", 127, words)
    assert max(words(chunks.texts)) <= 127
    joined = chunks.table.assign(text=chunks.texts).groupby("report")["text"].agg("".join)
    for before, after in zip(colon_reports.texts, joined, strict=True):
        assert without_space(before) == without_space(after)
    sizes = np.array(words(chunks.texts))
    assert np.median(sizes) > 90  # chunks are well filled
