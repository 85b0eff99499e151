"""What cleaning does to 1,533 real reports as OCR left them, counted by kind before and after."""

import collections
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

from clipit_eva.reports.cleaning import MIN_WORD_COUNT, clean_corpus
from clipit_eva.reports.corpus import ReportCorpus, read_corpus
from clipit_eva.reports.medical_tokens import keeps_medical_tokens, medical_tokens

pytestmark = pytest.mark.slow

_SEPARATED = re.compile(r"([^\W\d_]+)(?=(?:\s*[-\u2010\u00ad]\s*|\s+)([^\W\d_]+))")
_WORD = re.compile(r"[^\W\d_]+")
FURNITURE = {
    "UUID": r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}",
    "TCGA barcode": r"TCGA ?- ?[0-9A-Z]{2} ?- ?[0-9A-Z]{4}",
    "page x of y": r"(?i)\bpage:? *\d+ *(?:of|/) *\d+",
    "page line": r"(?im)^\W*page:? *\d+\W*$",
    "barcode": r"(?<!\w)[Il|]{12,}(?!\w)|(?<!\w)1{12,}(?!\w)",
}
"""What has to go, however OCR spelt the rest of the line."""

_SUSPECT = re.compile(
    r"(?i)\w[il1t][d0o] ?[:.]|tcga|pa ?ge|redact|[il1|!]{5}|([il1|!]+[ ^]+){4}|(\w{4} ?- ?){3}"
)


@pytest.fixture(scope="module")
def raw(request: pytest.FixtureRequest) -> ReportCorpus:
    """The TCGA reports, which may not be copied into the project."""
    given: Path | None = getattr(request.config, "given_fixtures", None)
    for folder in (given, request.config.rootpath.parent / "shared"):
        if folder and (paths := sorted(folder.glob("real/reports/tcga_*.csv"))):
            tables = [read_corpus(path).table for path in paths]
            return ReportCorpus.from_table(pd.concat(tables), "real reports")
    pytest.skip("needs real/reports/tcga_*.csv, in the folder of --fixtures or in ../shared")


@pytest.fixture(scope="module")
def cleaned(raw: ReportCorpus) -> Mapping[str, str]:
    corpus = clean_corpus(raw)
    return dict(zip(corpus.ids, corpus.texts, strict=True))


def _joins(raw: ReportCorpus, cleaned: Mapping[str, str]) -> Iterator[set[tuple[str, str]]]:
    """Yields for each new word the pairs of words of the report that it can have been made of."""
    for name, text in zip(raw.ids, raw.texts, strict=True):
        pairs = collections.defaultdict(set)
        for match in _SEPARATED.finditer(text):
            pairs[match[1] + match[2]].add((match[1].lower(), match[2].lower()))
        after = collections.Counter(_WORD.findall(cleaned.get(name, "")))
        new = after - collections.Counter(_WORD.findall(text))
        yield from (pairs[word] for word in new if word in pairs)


def _stand_alone(raw: ReportCorpus) -> set[str]:
    """Words that stand somewhere beside none with which they would be a word of the corpus."""
    texts = [re.sub(r"-\n|\u00ad\n?|[^\S\n]+", " ", text.lower()) for text in raw.texts]
    counts = collections.Counter(word for text in texts for word in _WORD.findall(text))
    alone = set()
    for text in texts:
        words = list(_WORD.finditer(text))
        whole = [
            left.end() + 1 == right.start()
            and text[left.end()] == " "
            and counts[left[0] + right[0]] >= MIN_WORD_COUNT
            for left, right in itertools.pairwise(words)
        ]
        beside = zip(words, [False, *whole], [*whole, False], strict=True)
        alone |= {word[0] for word, before, after in beside if not before and not after}
    return alone


def test_no_two_words_are_joined(raw: ReportCorpus, cleaned: Mapping[str, str]) -> None:
    alone, joins = _stand_alone(raw), list(_joins(raw, cleaned))
    assert {"biopsy", "excision", "metastatic", "one", "no"} <= alone
    assert len(joins) > 100
    assert not [pairs for pairs in joins if all(alone.issuperset(pair) for pair in pairs)]


@pytest.mark.parametrize("kind", FURNITURE)
def test_no_page_furniture_is_left(
    raw: ReportCorpus, cleaned: Mapping[str, str], kind: str
) -> None:
    pattern = re.compile(FURNITURE[kind])
    assert sum(len(pattern.findall(text)) for text in raw.texts) > 10
    assert not [name for name, text in cleaned.items() if pattern.search(text)]


def test_every_finding_of_other_lines_is_kept(
    raw: ReportCorpus, cleaned: Mapping[str, str]
) -> None:
    lines = tokens = 0
    for name, text in zip(raw.ids, raw.texts, strict=True):
        plain = [line for line in text.split("\n") if not _SUSPECT.search(line)]
        lines += len(plain)
        tokens += len(medical_tokens("\n".join(plain)))
        assert keeps_medical_tokens("\n".join(plain), cleaned.get(name, "")), name
    assert lines > 0.95 * sum(text.count("\n") + 1 for text in raw.texts)
    assert tokens > 100_000
