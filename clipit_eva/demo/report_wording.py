"""Synthetic pathology reports: what a tissue shows in words, among what says nothing about it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clipit_eva.demo.tissue import ATTRIBUTES, Tissue

_WORDS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
"""Sentences by kind, and by attribute and level (low, middle, high); topics that say nothing about
the tissue; a scanner's `confusions` and stray `marks`."""


def write_report(tissue: Tissue, rng: np.random.Generator) -> str:
    """Writes an OCR-noisy report of a tissue, which mentions some of its attributes.

    It is one line of 40 to 250 words and holds no name of a class, file or patient.
    """
    sections = [
        ("MICROSCOPIC DESCRIPTION", list(_microscopic(tissue, rng))),
        ("CLINICAL HISTORY", _filler("history", rng, 1, 3)),
        ("GROSS DESCRIPTION", _filler("gross", rng, 1, 5)),
        ("COMMENT", _filler("comment", rng, 0, 6)),
    ]
    if rng.random() < 0.6:
        sections.insert(1, ("FINAL DIAGNOSIS", [_choice(_WORDS["diagnosis"][tissue.kind], rng)]))
    if rng.random() < 0.4:  # laboratories differ in what comes first
        sections.insert(0, sections.pop(-2))
    body = " ".join(f"{name}: {' '.join(lines)}" for name, lines in sections if lines)
    header = f"SURGICAL PATHOLOGY REPORT Page {rng.integers(1, 4)} of {rng.integers(4, 6)}"
    return _fit(_ocr(f"{header} {body}" if rng.random() < 0.6 else body, rng), rng)


def _microscopic(tissue: Tissue, rng: np.random.Generator) -> Iterator[str]:
    """Yields the sentences that describe the tissue; each is left out now and then."""
    if rng.random() < 0.85:
        yield _choice(_WORDS["architecture"][tissue.kind], rng)
    for name in rng.permutation(ATTRIBUTES):
        if rng.random() < 0.75:
            seen = getattr(tissue, name) + rng.normal(0, 0.06)  # observers differ
            level = 0 if seen < 0.35 else 1 if seen < 0.6 else 2
            yield _choice(_WORDS["levels"][name][level], rng)


def _filler(topic: str, rng: np.random.Generator, least: int, most: int) -> list[str]:
    """Returns sentences of a topic, none about the tissue, numbers filled in."""
    sentences = _WORDS[topic]
    order = rng.permutation(len(sentences))[: rng.integers(least, most, endpoint=True)]
    return [re.sub(r"\{n\}", lambda _: str(rng.integers(2, 13)), sentences[i]) for i in order]


def _ocr(text: str, rng: np.random.Generator) -> str:
    """Returns the text as a scanner might read it: confused letters, broken words, stray marks."""
    rate = rng.beta(1.5, 12)  # of words; some scans are clean, some are bad
    words = []
    for word in text.split(" "):
        words.append(_misread(word, rng) if rng.random() < rate else word)
        if rng.random() < 0.2 * rate:
            words.append(_choice(_WORDS["marks"], rng))
    return " ".join(words)


def _misread(word: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < 0.6:
        known = [pair for pair in _WORDS["confusions"] if pair[0] in word]
        if known:
            old, new = known[rng.integers(len(known))]
            return word.replace(old, new, 1)
    cut = int(rng.integers(1, max(len(word), 2)))
    if kind < 0.8:
        return f"{word[:cut]} {word[cut:]}".strip()
    if kind < 0.9:
        return f"{word[:cut]}- {word[cut:]}"
    return word[: cut - 1] + word[cut:]


def _fit(text: str, rng: np.random.Generator) -> str:
    """Returns the text with 40 to 250 words: short ones get a signature block, long ones a cut."""
    words = text.split()
    while len(words) < 40:
        words += _filler("comment", rng, 1, 1)[0].split()
    return " ".join(words[:250])


def _choice(options: list[str], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]
