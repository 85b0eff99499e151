"""What filing, printing and scanning put on a report's pages, none of it about the tissue.

It goes with the numbers in it: TCGA's identifiers, page counters, the second and later copies of
a page's header or footer lines, and the bars of barcodes that were read as letters.
"""

import itertools
import re

PAGE_EDGE_LINES = 5
"""Lines at a page's top and bottom looked at for headers and footers."""

_PAGE, _END = r"(?<!\w)(?:page|pg\.?):? ?", r"(?!\d|[.,/:]\d)"
# As they are read: "Page I of .6", "page 1 I 1".
_TOTAL = rf"(?:[\dIl]{{1,3}} ?(?:of|/) ?['.]?[\dIl]{{1,3}}|\d+ [I|] \d+){_END}"
_COUNTER = rf"{_PAGE}(?:{_TOTAL}|\d+{_END}(?!\w))"
_SIGN = r"\+|±|[(\[][-\u2212\u2013][)\]]"  # a finding, whatever stands beside it
_LINE = rf"^(?![^\n]*(?:{_SIGN}))[^\w\n]*{_COUNTER}[^\w\n]*$"
_COUNTERS = re.compile(
    rf"(?<=\f)\s*{_COUNTER}|{_COUNTER}\s*(?=\f)|{_PAGE}{_TOTAL}|{_LINE}",
    re.IGNORECASE | re.MULTILINE,
)

# "Ae1P" is A01P, "UUTD" UUID, "]" a J; what has all of its other parts may have any letters.
_DASH, _ANY = " ?[-.=]{1,2} ?", r"[\dA-Za-z$\]]"
_UUID = rf"(?<!\w){_ANY}{{8}}{_DASH}(?:{_ANY}{{4}}{_DASH}){{3}}{_ANY}{{12}}"
_LABELLED = rf"U\w?[IlT1][DO0] ?[:.] ?{_ANY}{{5,9}}(?:{_DASH}{_ANY}{{3,12}}){{2,4}}"
_PATIENT = rf"TCGA{_DASH}[\dA-Zl\]]{{2}}"
_ALIQUOT = rf"{_DASH}\w{{2,3}} ?-? ?PR(?: ?Redacted)?"
_BARCODE = rf"{_PATIENT}(?:{_DASH}{_ANY}{{4}}(?:{_ALIQUOT})?|{_ANY}{{4}}{_ALIQUOT})"
_IDENTIFIERS = re.compile(rf"{_LABELLED}|{_UUID}|{_BARCODE}")

_STROKE, _NOISE = "[Il1|!i]", re.compile(r"[Il1|!iJUHVNM^()\[\]{}\\;:'\"]+")
_LONG_BAR = re.compile(r"(?<![\d/.,])" + _STROKE + "{12,}")  # even within a word, but no count
_BAR = re.compile(f"[Il|!i]{{6}}|{_STROKE}{{8}}")  # `111111` is a number, `I11III` may hold one
_SUSPECT = re.compile(rf"{_STROKE}{{6}}|(?:{_STROKE}+[ ^]+){{5}}")
_WORD = re.compile("(?:(?![Il|i])[A-Za-z]){3}")
_LEAST_STROKES, _LEAST_SHARE = 16, 0.75
"""Strokes in a line without a word, and their share of it, from which it is a broken barcode."""


def without_furniture(text: str) -> str:
    """Removes it from a text with single blanks; form feeds become empty lines."""
    text = _COUNTERS.sub(" ", _IDENTIFIERS.sub(" ", text))
    if "\f" in text:
        text = _without_page_edges(text)
    if _SUSPECT.search(text):
        text = "\n".join(map(_without_bars, text.split("\n")))
    return text


def _without_bars(line: str) -> str:
    """Removes bars, and what looks like parts of them between two and out to the line's ends."""
    if not _SUSPECT.search(line):
        return line
    if _is_broken_barcode(line):
        return ""
    kept: list[str] = []
    words = _LONG_BAR.sub(r" \g<0> ", line).split()
    groups = itertools.groupby(words, lambda word: bool(_NOISE.fullmatch(word)))
    runs = [(is_noise, list(run)) for is_noise, run in groups]
    for place, (is_noise, run) in enumerate(runs):
        bars = [number for number, word in enumerate(run) if is_noise and _BAR.search(word)]
        if bars:
            start = bars[0] if place else 0
            end = bars[-1] + 1 if place < len(runs) - 1 else len(run)
            del run[start:end]
        kept += run
    return " ".join(kept)


def _is_broken_barcode(line: str) -> bool:
    strokes = re.findall(_STROKE, line)
    least = max(_LEAST_STROKES, _LEAST_SHARE * len(line.replace(" ", "")))
    return len(strokes) >= least and set(strokes) != {"1"} and not _WORD.search(line)


def _without_page_edges(text: str) -> str:
    """Turns form feeds into empty lines, without repeated page edges."""
    tops: set[str] = set()
    bottoms: set[str] = set()
    pages = []
    for page in text.split("\f"):
        lines = [line.strip() for line in page.strip().split("\n")]
        lines = _without_repeated(lines, tops)
        pages.append("\n".join(_without_repeated(lines[::-1], bottoms)[::-1]))
    return "\n\n".join(pages)


def _without_repeated(lines: list[str], seen: set[str]) -> list[str]:
    """Drops the leading lines that an earlier page led with too, and remembers the others."""
    edge = lines[:PAGE_EDGE_LINES]
    own = (bool(line) and line not in seen for line in edge)
    first_own = next((place for place, is_own in enumerate(own) if is_own), len(edge))
    seen.update(line for line in edge if line)
    return lines[first_own:]
