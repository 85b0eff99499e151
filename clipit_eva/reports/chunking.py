"""Long reports: chunks that fit a text encoder, and what a policy drops."""

import itertools
import logging
import re
from collections.abc import Callable, Sequence

import numpy as np

from clipit_eva.errors import InputError
from clipit_eva.reports.corpus import ReportCorpus

_log = logging.getLogger(__name__)

POLICIES = ("truncate", "chunk", "mean")
"""What to do with a report that is longer than the text encoder reads.

`truncate` (the paper's) embeds its beginning, `chunk` embeds it in chunks that are retrieved one
by one, `mean` averages the chunks' embeddings.
"""

CountTokens = Callable[[Sequence[str]], list[int]]
"""Texts -> number of tokens of each, special tokens included."""

_SECTION = re.compile(r"\n[^\S\n]*\n\s*|(?<=\s)(?=[A-Z]{2,30}(?:[ /&-]{1,3}[A-Z]{1,30}){0,7}:)")
_CAPITAL_WORD_BEFORE = re.compile(r"(?:\A|\s)[A-Z]{2,}[ /&-]+\Z")
# Not after an initial or a list number ("A.", "12.").
_SENTENCE = re.compile(r"(?<=[\w)\]%\"'][.!?;])(?<!\b\w\.)(?<!\b\d\d\.)\s+|\n\s*")
_BETWEEN_WORDS = re.compile(r"\s+")


def chunk_reports(
    corpus: ReportCorpus, policy: str, budget: int, count_tokens: CountTokens
) -> tuple[list[list[str]], float]:
    """Splits reports into texts that a text encoder reads, by one of `POLICIES`.

    `truncate` leaves every report whole, for the tokenizer to cut. The others split reports that
    do not fit into chunks that do: at section borders if a section fits, else at sentence
    borders, else between words; inside a word only if it is longer than a chunk. Chunks hold the
    whole text in order; white space at their borders is removed.

    The encoder reads `budget` tokens, special ones included; `count_tokens` counts those of many
    texts, before any truncation.

    Returns:
        Each report's texts, in order, and the share of all tokens that the policy drops, in
        [0, 1), which is logged.

    Raises:
        InputError: The policy is unknown, or the budget is too small for a single character.
    """
    if policy not in POLICIES:
        raise InputError(
            f"policy {policy!r} for long reports is unknown; give one of {', '.join(POLICIES)}"
        )
    texts = corpus.texts
    counter = _TokenCounter(count_tokens, budget)
    lengths = np.array([counter[text] for text in counter.add(texts)], dtype=np.int64)
    lost = np.maximum(lengths - counter.room, 0)
    chunks = [[text] for text in texts] if policy == "truncate" else _split(texts, counter)
    dropped = float(lost.sum() / max(lengths.sum(), 1)) if policy == "truncate" else 0.0
    _log.info(
        "%s: %d of %d reports are longer than %d tokens; policy %r makes %d texts of them all and "
        "drops %.1f%% of the tokens",
        *(corpus.source, int((lengths > counter.room).sum()), len(corpus), budget, policy),
        *(sum(map(len, chunks)), 100 * dropped),
    )
    return chunks, dropped


def split_sections(text: str) -> list[str]:
    """Splits a report before capital headings ("GROSS DESCRIPTION:") and after empty lines.

    The sections join to the text.
    """
    cuts = []
    for border in _SECTION.finditer(text):
        before = text[max(0, border.start() - 40) : border.start()]
        if border[0] or not _CAPITAL_WORD_BEFORE.search(before):  # else between a heading's words
            cuts.append(border.end())
    return _cut(text, cuts)


def split_sentences(text: str) -> list[str]:
    """Splits a text after sentences and lines, white space included: they join to the text."""
    return _cut(text, [match.end() for match in _SENTENCE.finditer(text)])


def _cut(text: str, cuts: Sequence[int]) -> list[str]:
    """Cuts a text at the given places, which may include its ends."""
    places = [0, *(cut for cut in cuts if 0 < cut < len(text)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(places)]


class _TokenCounter:
    """Counts texts' own tokens, each text once.

    Attributes:
        room: Tokens that the text encoder reads besides the special ones.
    """

    def __init__(self, count_tokens: CountTokens, budget: int) -> None:
        self._count_tokens = count_tokens
        self._special = count_tokens([""])[0]
        self._counts: dict[str, int] = {}
        self.room = budget - self._special
        if self.room < 1:
            raise InputError(
                f"budget of {budget} tokens has no room beside {self._special} special tokens"
            )

    def add(self, texts: Sequence[str]) -> Sequence[str]:
        """Counts the texts that were not yet, all in one call, and returns the texts."""
        distinct = dict.fromkeys(text.strip() for text in texts)
        if new := [text for text in distinct if text not in self._counts]:
            counts = (count - self._special for count in self._count_tokens(new))
            self._counts.update(zip(new, counts, strict=True))
        return texts

    def __getitem__(self, text: str) -> int:
        self.add([text])
        return self._counts[text.strip()]


def _split(texts: Sequence[str], counter: _TokenCounter) -> list[list[str]]:
    chunks = [[text] for text in texts]
    long = [row for row, text in enumerate(texts) if counter[text] > counter.room]
    reports = [[split_sentences(part) for part in split_sections(texts[row])] for row in long]
    counter.add([s for report in reports for section in report for s in section])
    packed = [_pack(report, counter) for report in reports]
    counter.add(["".join(chunk) for report in packed for chunk in report])
    for row, report in zip(long, packed, strict=True):
        fitting = itertools.chain.from_iterable(_fit(chunk, counter) for chunk in report)
        chunks[row] = [chunk.strip() for chunk in fitting]
    return chunks


def _pack(sections: Sequence[Sequence[str]], counter: _TokenCounter) -> list[list[str]]:
    """Fills chunks in order, starting one at a section that fits in a chunk but not in the rest.

    The sections come in sentences, the chunks in pieces, whose separate counts fit in a chunk.
    """
    chunks: list[list[str]] = [[]]
    used = 0
    for section in sections:
        pieces = [piece for sentence in section for piece in _pieces(sentence, counter)]
        costs = [counter[piece] for piece in pieces]
        starts_anew = used + sum(costs) > counter.room >= sum(costs)
        for piece, cost in zip(pieces, costs, strict=True):
            if starts_anew or used + cost > counter.room:
                chunks.append([])
                used, starts_anew = 0, False
            chunks[-1].append(piece)
            used += cost
    return [chunk for chunk in chunks if chunk]


def _pieces(text: str, counter: _TokenCounter) -> list[str]:
    """Returns a text that fits, or else its words, or of one word the halves, that do."""
    if counter[text] <= counter.room:
        return [text]
    parts = _cut(text, [match.end() for match in _BETWEEN_WORDS.finditer(text)])
    if len(parts) == 1:
        if len(text.strip()) < 2:
            raise InputError(f"budget leaves {counter.room} tokens, too few for one character")
        parts = _cut(text, [len(text) // 2])
    return [piece for part in counter.add(parts) for piece in _pieces(part, counter)]


def _fit(chunk: Sequence[str], counter: _TokenCounter) -> list[str]:
    """Halves a chunk whose pieces have more tokens together than apart, until they fit."""
    text = "".join(chunk)
    if len(chunk) == 1 or counter[text] <= counter.room:
        return [text]
    middle = len(chunk) // 2
    return [*_fit(chunk[:middle], counter), *_fit(chunk[middle:], counter)]
