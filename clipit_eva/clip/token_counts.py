"""How many tokens a text has, by nothing but a model's tokenizer, which cuts texts off."""

import re
from collections.abc import Callable, Sequence

import torch

_WORD = re.compile(r"\s*\S+")  # with the white space before it, which may be tokens too


class TokenCounter:
    """Counts tokens with a tokenizer that cuts off and pads.

    A text that fills the context may have been cut: its words are then counted in parts, which is
    exact for tokenizers that treat words and the white space before them apart (CLIP's, CONCH's).

    Attributes:
        budget: Tokens that the text encoder reads, special tokens included.
    """

    def __init__(self, tokenize: Callable[[Sequence[str]], torch.Tensor]) -> None:
        """Finds out how texts become token ids [len(texts), context_length], int64."""
        self._tokenize = tokenize
        self._pad = int(tokenize([""])[0, -1])
        self._special = self._lengths([""])[0]
        (self.budget,) = self._lengths(["a " * tokenize([""]).shape[1]])

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Returns each text's number of tokens before any cut, special tokens included."""
        parts = [self._parts(text) for text in texts]
        counts = iter(self._count([part for text in parts for part in text]))
        return [self._special + sum(next(counts) for _ in text) for text in parts]

    def _count(self, parts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each part, without special ones."""
        lengths = self._lengths(parts)
        counts = [length - self._special for length in lengths]
        long = [place for place, length in enumerate(lengths) if length >= self.budget]
        halves = {place: pair for place in long if (pair := _halves(parts[place]))}
        if halves:
            inner = iter(self._count([half for pair in halves.values() for half in pair]))
            for place in halves:
                counts[place] = next(inner) + next(inner)
        return counts

    def _parts(self, text: str) -> list[str]:
        """Returns a text that may fit, or else its words in parts that should."""
        words = _WORD.findall(text)
        if len(words) <= self.budget:
            return [text]
        size = max(1, self.budget // 4)
        return ["".join(words[start : start + size]) for start in range(0, len(words), size)]

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of token ids before the padding."""
        if not texts:
            return []
        blocks = [self._tokenize(texts[n : n + 1024]) for n in range(0, len(texts), 1024)]
        real = torch.cat(blocks) != self._pad
        places = torch.arange(1, real.shape[1] + 1)
        return (real * places).amax(dim=1).tolist()


def _halves(text: str) -> tuple[str, str] | None:
    """Cuts a text in two, between words if it has several; `None` if it is a single character."""
    words = _WORD.findall(text)
    if len(words) > 1:
        middle = len(words) // 2
        return "".join(words[:middle]), "".join(words[middle:])
    middle = len(text) // 2
    return (text[:middle], text[middle:]) if middle else None
