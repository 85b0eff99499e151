"""What is embedded and retrieved of long reports."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.report_chunks import ReportChunks, split_reports, whole_reports


def count_words(texts) -> list[int]:
    return [len(text.split()) + 2 for text in texts]


@pytest.fixture
def corpus() -> ReportCorpus:
    texts = ["One two three. Four five six. Seven.", "Short one.", "A b c d. A b c d. A b c d."]
    table = pd.DataFrame({"report_id": ["x", "y", "z"], "text": texts})
    return ReportCorpus.from_table(table, "test")


def split(corpus: ReportCorpus, policy: str) -> ReportChunks:
    return split_reports(corpus, policy, 6, count_words)


def test_truncate_leaves_whole_reports(corpus: ReportCorpus) -> None:
    chunks = split(corpus, "truncate")
    assert chunks.texts == list(chunks.row_texts) == corpus.texts
    assert chunks.ids == ["x", "y", "z"]
    assert chunks.sha256 == corpus.sha256 == whole_reports(corpus).sha256
    assert chunks.dropped == (3 + 8) / (7 + 2 + 12)
    pd.testing.assert_frame_equal(chunks.table, whole_reports(corpus).table)


def test_chunks_are_rows(corpus: ReportCorpus) -> None:
    chunks = split(corpus, "chunk")
    assert chunks.ids == ["x", "x", "y", "z", "z", "z"]
    assert chunks.numbers.tolist() == [0, 1, 0, 0, 1, 2]
    assert chunks.first_rows == {"x": 0, "y": 2, "z": 3}
    assert chunks.texts[-3:] == ["A b c d."] * 3  # equal texts, each at its own place
    assert chunks.table["start"].tolist()[-3:] == [0, 9, 18]
    assert chunks.dropped == 0
    assert max(count_words(chunks.texts)) <= 6


def test_mean_has_a_row_a_report(corpus: ReportCorpus) -> None:
    chunks = split(corpus, "mean")
    assert chunks.ids == ["x", "y", "z"]
    assert chunks.numbers.tolist() == [0, 0, 0]
    assert [len(texts) for texts in chunks.row_texts] == [2, 1, 3]
    embeddings = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    chunks = chunks.combine(embeddings)
    for row, rows in zip(chunks, (slice(0, 2), slice(2, 3), slice(3, 6)), strict=True):
        mean = embeddings[rows].mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)


def test_policies_have_fingerprints_of_their_own(corpus: ReportCorpus) -> None:
    made = [split(corpus, policy).sha256 for policy in ("truncate", "chunk", "mean")]
    assert len(set(made)) == 3
    other = split_reports(corpus, "chunk", 9, count_words)
    assert other.sha256 != made[1]


def test_conch_chunks_fit_and_counts_are_exact(colon_reports: ReportCorpus, request) -> None:
    from tokenizers import Tokenizer

    from clipit_eva.clip.conch.tokenizing import TOKENIZER_FILE, ConchTokenize
    from clipit_eva.clip.token_counts import TokenCounter

    given = getattr(request.config, "given_fixtures", None)
    folders = [f for f in (given, request.config.rootpath.parent / "shared") if f]
    found = [path for folder in folders for path in Path(folder).rglob(TOKENIZER_FILE)]
    if not found:
        pytest.skip(f"needs {TOKENIZER_FILE}, in the folder of --fixtures or in ../shared")
    counter = TokenCounter(ConchTokenize(found[0], 128))
    whole = Tokenizer.from_file(str(found[0]))
    whole.no_truncation()
    whole.no_padding()
    assert counter.budget == 127
    expected = [len(encoding.ids) for encoding in whole.encode_batch(colon_reports.texts)]
    assert counter(colon_reports.texts) == expected
    chunks = split_reports(colon_reports, "chunk", counter.budget, counter)
    assert max(len(encoding.ids) for encoding in whole.encode_batch(chunks.texts)) <= 127
    joined = "".join("".join(chunks.texts).split())
    assert joined == "".join("".join(colon_reports.texts).split())
    dropped = split_reports(colon_reports, "truncate", counter.budget, counter).dropped
    lengths = np.array(expected) - 2
    assert dropped == pytest.approx(np.maximum(lengths - 125, 0).sum() / lengths.sum())
