"""Counts of tokens by a tokenizer that cuts texts off."""

import open_clip
import pytest

from clipit_eva.clip.open_clip_models import Tokenize
from clipit_eva.clip.token_counts import TokenCounter

TEXTS = [
    "",
    "a",
    "tumor cells, 4.5 cm",
    "adenocarcinoma " * 74,
    "fat " * 75,
    "fat " * 76,
    "Moderately-differentiated ADENOCARCINOMA\n\n(pT3 N1b); margins\tnegative. " * 40,
    "x" * 3000,
]


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    return TokenCounter(Tokenize(open_clip.get_tokenizer("ViT-B-32"), 77))


def test_clip_tokens_are_counted_exactly(counter: TokenCounter) -> None:
    encode = open_clip.SimpleTokenizer().encode
    counts = counter(TEXTS)
    # A word longer than the context is cut at places that its tokens need not keep.
    assert counts[:-1] == [len(encode(text)) + 2 for text in TEXTS[:-1]]
    assert counts[-1] == pytest.approx(len(encode(TEXTS[-1])) + 2, rel=0.1)
    assert counter.budget == 77


def test_no_texts(counter: TokenCounter) -> None:
    assert counter([]) == []
