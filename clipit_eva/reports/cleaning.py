"""Cleaning of scanned (OCR) reports that keeps every medical token and never makes a word.

What joins or removes characters that are not white space is checked where it happens: an edit that
would lose a medical token (`medical_tokens`) is not made. Only what says nothing about the
patient's tissue goes with the numbers in it, see `page_furniture`.
"""

import collections
import dataclasses
import itertools
import logging
import re
from collections.abc import Callable, Mapping, Sequence, Set

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.medical_tokens import keeps_medical_tokens
from clipit_eva.reports.page_furniture import without_furniture

_log = logging.getLogger(__name__)

MIN_WORD_COUNT = 5
"""Occurrences in the corpus that make a word known."""

FRAGMENT_RATIO = 10
"""A word part is a fragment if the whole word is at least this many times as frequent."""

NEGATING_PREFIXES = frozenset({"a", "ab", "an", "anti", "dis", "im", "in", "no", "non", "un"})
"""Parts never joined to the next word: "a symptomatic" might mean either of two opposites."""

_CONTEXT = 64  # characters on either side in which an edit could change a medical token

_LINE_BREAKS = re.compile(r"\r\n?|[\v\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u200b]")
_SPACES = re.compile(r"[^\S\n\f]{2,}|[^\S\n\f ]")
_LINE_EDGES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)

_INVISIBLE = re.compile("[\u200c-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
_REDACTION = re.compile(
    r"""[\[<(]\ ?(?:[Rr]edacted|REDACTED)\ ?[\])>]|Redacted|REDACTED  # not in prose
    |\[\*\*[^\n\[\]]*\*\*\]|\*{3,}|[\u2588\u2593]+          # [**Name**], ****, blacked out
    |(?<![\w-])(?<!\d,)(?:X{3,}|x{3,})(?![\w-])             # but not a karyotype 47,XXX
    """,
    re.VERBOSE,
)
_REPEATED = re.compile(
    r"([.,:;!?_=~*#|^•·\u2013\u2014-])(?: ?\1){2,}"
)  # not "+": "+++" is a finding
_LOOSE_HYPHEN = re.compile(r"(?<![\w-])([^\W\d_][a-z]+)(?: -|-[ \n])([a-z]{2,})(?![\w-])")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_HYPHEN = r"[-\u2010\u00ad]\n|\u00ad"
_BROKEN = re.compile(rf"(?<![\w-])([^\W\d_]+)( |{_HYPHEN})(?=([^\W\d_]+)(?![\w-]))")
_SOFT_HYPHEN = re.compile("\u00ad")
_HYPHENS, _TOKEN = re.compile(_HYPHEN), re.compile(r"[^\W\d_]+|[^ ]")


@dataclasses.dataclass(frozen=True)
class CorpusWords:
    """What a corpus's words say about how to mend broken ones.

    Attributes:
        counts: Lower-case word, or compound with hyphens, to occurrences.
        broken: Pairs of lower-case words that are a known word broken in two: the corpus has the
            whole at least `MIN_WORD_COUNT` times, and `FRAGMENT_RATIO` times as often as one of
            the parts, and one of them never but beside a part that makes a known word of it.
    """

    counts: Mapping[str, int]
    broken: frozenset[tuple[str, str]]


def learn_words(texts: Sequence[str]) -> CorpusWords:
    """Learns the words of a corpus's texts, by which broken ones are recognised."""
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(_WORD.findall(text.lower()))
    broken = set()
    for word, count in counts.items():
        if count < MIN_WORD_COUNT or "-" in word:
            continue
        for cut in range(1, len(word)):
            left, right = word[:cut], word[cut:]
            rarer = min(counts.get(left, 0), counts.get(right, 0))
            if rarer * FRAGMENT_RATIO <= count and left not in NEGATING_PREFIXES:
                broken.add((left, right))
    alone = _stand_alone(texts, broken)
    return CorpusWords(counts, frozenset(pair for pair in broken if not alone.issuperset(pair)))


def _stand_alone(texts: Sequence[str], broken: Set[tuple[str, str]]) -> set[str]:
    """Returns the words of `broken` that are somewhere not part of a pair of it."""
    parts = set(itertools.chain.from_iterable(broken))
    alone = set()
    for text in texts:
        tokens = _TOKEN.findall(_HYPHENS.sub(" ", _tidy_spaces(text.lower())))
        for before, word, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
            if word in parts and (before, word) not in broken and (word, after) not in broken:
                alone.add(word)
    return alone


def clean_report(text: str, words: CorpusWords | None = None) -> str:
    r"""Cleans one report; cleaning a second time changes nothing.

    Line breaks become `\n`, other white space one blank, more than one empty line one; control
    and invisible characters go, ligatures are spelt out. Identifiers, page counters, barcodes and
    repeated headers and footers go (`page_furniture`), and so do redaction marks and runs of one
    mark (`-----`); a run of marks that end a sentence becomes one. With `words` those broken by a
    blank ("transvers e") or hyphenated at a line's end are joined if the corpus knows the whole
    and not both parts, and compounds with a loose hyphen ("tumor -free") are mended if it knows
    them. Any other dash stays, case too.

    Returns:
        The cleaned report, perhaps empty. Has every medical token of `text` in order, but
        for page furniture.
    """
    words = words or CorpusWords({}, frozenset())
    while True:
        cleaned = _clean_once(text, words)
        if cleaned == text:
            return text
        text = cleaned  # mending one thing can bring another to light


def clean_corpus(corpus: ReportCorpus) -> ReportCorpus:
    """Cleans every report of a corpus by its own words, and drops those that come out empty.

    How many were changed and dropped, and of how many characters, is logged.

    Raises:
        InputError: Nothing is left of any report.
    """
    words = learn_words(corpus.texts)
    texts = [clean_report(text, words) for text in corpus.texts]
    kept = [bool(text) for text in texts]
    if not any(kept):
        raise InputError(f"reports {corpus.source} hold nothing but marks; check the text column")
    changed = sum(old != new for old, new in zip(corpus.texts, texts, strict=True))
    _log.info(
        "cleaned %d of %d reports of %s, %d to %d characters; %d had nothing but marks",
        *(changed, len(corpus), corpus.source),
        *(sum(map(len, corpus.texts)), sum(map(len, texts)), kept.count(False)),
    )
    return ReportCorpus.from_table(corpus.table.assign(text=texts).loc[kept], corpus.source)


def _clean_once(text: str, words: CorpusWords) -> str:
    text = _CONTROLS.sub(" ", _LINE_BREAKS.sub("\n", text)).translate(_LIGATURES)
    text = _tidy_spaces(without_furniture(_tidy_spaces(text)))
    text = _mend_words(text, words)
    text = _edit(_INVISIBLE, text, lambda _: ("", " "))
    text = _edit(_REDACTION, text, lambda _: (" ",))
    # A blank, after one mark if it can end a sentence.
    text = _edit(_REPEATED, text, lambda m: (f"{m[1]} " if m[1] in ".!?;:," else " ",))
    return _tidy_spaces(text)


def _mend_words(text: str, words: CorpusWords) -> str:
    """Joins broken words, and mends compounds broken at their hyphen; no other dash goes.

    A soft hyphen is one that was printed: OCR reads any dash as such.
    """

    def compound(match: re.Match[str]) -> Sequence[str]:
        whole = f"{match[1]}-{match[2]}"
        return (whole,) if words.counts.get(whole.lower(), 0) >= MIN_WORD_COUNT else ()

    def joined(match: re.Match[str]) -> Sequence[str]:
        left, _, right = match.groups()
        fits = right.islower() or left.isupper()
        return (left,) if fits and (left.lower(), right.lower()) in words.broken else ()

    if not words.broken.isdisjoint(itertools.pairwise(_WORD.findall(text.lower()))):
        text = _edit(_BROKEN, text, joined)
    text = _edit(_SOFT_HYPHEN, text, lambda _: ("-", " -"))
    return _edit(_LOOSE_HYPHEN, text, compound)


def _tidy_spaces(text: str) -> str:
    """Leaves single blanks, line breaks without blanks around them and single empty lines."""
    return _EMPTY_LINES.sub("\n\n", _LINE_EDGES.sub("\n", _SPACES.sub(" ", text))).strip()


def _edit(
    pattern: re.Pattern[str], text: str, candidates: Callable[[re.Match[str]], Sequence[str]]
) -> str:
    """Replaces each match by the first candidate that keeps the medical tokens around it."""
    parts: list[str] = []
    end = 0
    tail = ""  # how the edited text ends so far: an earlier edit may be close by
    for match in pattern.finditer(text):
        offers = candidates(match)
        if not offers:
            continue
        tail = (tail + text[end : match.start()])[-_CONTEXT:]
        behind = text[match.end() : match.end() + _CONTEXT]
        before = tail + match[0] + behind
        kept = (o for o in offers if keeps_medical_tokens(before, tail + o + behind))
        chosen = next(kept, match[0])
        parts += (text[end : match.start()], chosen)
        tail = (tail + chosen)[-_CONTEXT:]
        end = match.end()
    return "".join((*parts, text[end:]))
