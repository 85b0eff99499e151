"""Cleaning of scanned (OCR) reports that keeps every medical token.

What joins or removes characters that are not white space is checked where it happens: an edit that
would lose a medical token (`medical_tokens`) is not made. Two things are removed with the
numbers in them, because they say nothing about the patient's tissue: page counters at a form
feed, and the second and later copies of a page's header or footer lines.
"""

import collections
import dataclasses
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus
from clipit_eva.reports.medical_tokens import keeps_medical_tokens

_log = logging.getLogger(__name__)

MIN_WORD_COUNT = 5
"""Occurrences in the corpus that make a word known."""

FRAGMENT_RATIO = 10
"""A word part is a fragment if the whole word is at least this many times as frequent."""

NEGATING_PREFIXES = frozenset({"a", "ab", "an", "anti", "dis", "im", "in", "no", "non", "un"})
"""Parts never joined to the next word: "a symptomatic" might mean either of two opposites."""

PAGE_EDGE_LINES = 5
"""Lines at a page's top and bottom looked at for headers and footers."""

_CONTEXT = 64  # characters on either side in which an edit could change a medical token

_LINE_BREAKS = re.compile(r"\r\n?|[\v\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f]")
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_LINE_EDGES = re.compile(r" ?\n ?")
_EMPTY_LINES = re.compile(r"\n{3,}")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)

_COUNTER = r"(?:page|pg\.?)[^\S\n]*\d+(?:[^\S\n]*(?:of|/)[^\S\n]*\d+)?(?!\w)"
_COUNTER_BEFORE_BREAK = re.compile(rf"(?<!\w){_COUNTER}\s*(?=\f)", re.IGNORECASE)
_COUNTER_AFTER_BREAK = re.compile(rf"(?<=\f)\s*{_COUNTER}", re.IGNORECASE)
_COUNTER_LINE = re.compile(rf"\W*{_COUNTER}\W*", re.IGNORECASE)

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
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
_BARCODE = re.compile(r"(?<!\w)[Il|]{6,}(?!\w)")
_HYPHENATION = re.compile(r"(?<=[^\W\d_]{2})[-\u2010\u00ad]\n(?=[^\W\d_]{2})")
_LAST_WORD = re.compile(r"[^\W\d_]+\Z")
_LOOSE_HYPHEN = re.compile(r"(?<![\w-])([^\W\d_][a-z]+)(?: -|- )([a-z]{2,})(?![\w-])")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_PAIR = re.compile(r"(?<![\w-])([^\W\d_]+) (?=([^\W\d_]+)(?![\w-]))")


@dataclasses.dataclass(frozen=True)
class CorpusWords:
    """What a corpus's words say about how to mend broken ones.

    Attributes:
        counts: Lower-case word, or compound with hyphens, to occurrences.
        broken: Pairs of lower-case words that are a known word broken in two: the corpus has the
            whole at least `MIN_WORD_COUNT` times, and `FRAGMENT_RATIO` times as often as
            one of the parts.
    """

    counts: Mapping[str, int]
    broken: frozenset[tuple[str, str]]


def learn_words(texts: Iterable[str]) -> CorpusWords:
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
    return CorpusWords(counts, frozenset(broken))


def clean_report(text: str, words: CorpusWords | None = None) -> str:
    r"""Cleans one report; cleaning a second time changes nothing.

    Line breaks become `\n`, other white space one blank, more than one empty line one; control
    and invisible characters go, ligatures are spelt out. At form feeds, page counters and repeated
    header and footer lines go. Redaction marks, runs of one mark (`-----`) and bars read as
    letters (`IIIIII`) go, a run of marks that end a sentence becomes one. Words hyphenated at a
    line's end are joined. With `words` those broken by a blank ("transvers e") and compounds
    with a loose hyphen ("tumor -free") are mended too, if the corpus knows the whole.

    Returns:
        The cleaned report, perhaps empty. Has every medical token of `text` in order, but
        for page counters and for repeated headers and footers.
    """
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


def _clean_once(text: str, words: CorpusWords | None) -> str:
    text = _CONTROLS.sub(" ", _LINE_BREAKS.sub("\n", text)).translate(_LIGATURES)
    if "\f" in text:
        text = _without_page_furniture(text)
    text = _tidy_spaces(text)
    text = _edit(_HYPHENATION, text, lambda match: _dehyphenations(match, words))
    text = _edit(_INVISIBLE, text, lambda _: ("", " "))
    text = _edit(_REDACTION, text, lambda _: (" ",))
    text = _edit(_BARCODE, text, lambda _: (" ",))
    # A blank, after one mark if it can end a sentence.
    text = _edit(_REPEATED, text, lambda m: (f"{m[1]} " if m[1] in ".!?;:," else " ",))
    if words is not None:
        text = _mend_words(text, words)
    return _tidy_spaces(text)


def _mend_words(text: str, words: CorpusWords) -> str:
    """Joins known words that a blank breaks, and compounds with a blank beside the hyphen."""

    def compound(match: re.Match[str]) -> Sequence[str]:
        whole = f"{match[1]}-{match[2]}"
        return (whole,) if words.counts.get(whole.lower(), 0) >= MIN_WORD_COUNT else ()

    def joined(match: re.Match[str]) -> Sequence[str]:
        left, right = match.groups()
        fits = right.islower() or left.isupper()
        return (left,) if fits and (left.lower(), right.lower()) in words.broken else ()

    text = _edit(_LOOSE_HYPHEN, text, compound)
    if words.broken.isdisjoint(itertools.pairwise(_WORD.findall(text.lower()))):
        return text
    return _edit(_PAIR, text, joined)


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


def _dehyphenations(match: re.Match[str], words: CorpusWords | None) -> Sequence[str]:
    """Offers to join the word, and to make it a compound, the likelier first."""
    text, start, end = match.string, match.start(), match.end()
    if text[start - 1].islower() != text[end].islower():
        return ("-",)
    if words is not None:
        left = cast("re.Match[str]", _LAST_WORD.search(text, max(0, start - _CONTEXT), start))[0]
        right = cast("re.Match[str]", _WORD.match(text, end))[0]
        compound, whole = f"{left}-{right}".lower(), f"{left}{right}".lower()
        if words.counts.get(compound, 0) > words.counts.get(whole, 0):
            return "-", ""
    return "", "-"


def _without_page_furniture(text: str) -> str:
    """Turns form feeds into empty lines, without page counters and repeated page edges."""
    text = _COUNTER_AFTER_BREAK.sub("", _COUNTER_BEFORE_BREAK.sub("", text))
    tops: set[str] = set()
    bottoms: set[str] = set()
    pages = []
    for page in text.split("\f"):
        lines = [_SPACES.sub(" ", line).strip() for line in page.strip().split("\n")]
        lines = _without_repeated(lines, tops)
        pages.append("\n".join(_without_repeated(lines[::-1], bottoms)[::-1]))
    return "\n\n".join(pages)


def _without_repeated(lines: list[str], seen: set[str]) -> list[str]:
    """Drops the leading lines that an earlier page led with too, and remembers the others."""
    edge = lines[:PAGE_EDGE_LINES]
    own = (line and line not in seen and not _COUNTER_LINE.fullmatch(line) for line in edge)
    first_own = next((place for place, is_own in enumerate(own) if is_own), len(edge))
    seen.update(line for line in edge if line)
    return lines[first_own:]
