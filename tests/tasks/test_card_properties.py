"""Any card is read back as written, or an InputError that names it."""

import dataclasses
import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.tasks.card import Card, read_card

QUICK = settings(derandomize=True, max_examples=100, deadline=None)
NAMES = st.text("abcÄ字 -", min_size=1, max_size=6).filter(str.strip)
RIGHT = {
    "title": "Mine",
    "dataset": "eva.vision.datasets.BACH",
    "splits": {"train": "train", "test": "val"},
    "classes": ["a", "b"],
    "metric": "val/MulticlassAccuracy",
    "patience": 5,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | NAMES | st.just("${x}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([field.name for field in dataclasses.fields(Card)] + ["other"])


def _read(content: bytes) -> Card | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "card.yaml")
        path.write_bytes(content)
        try:
            return read_card(path)
        except InputError as error:
            assert path.name in str(error)
            return None


@QUICK
@given(title=NAMES, classes=st.lists(NAMES, min_size=2, max_size=5, unique=True))
def test_cards_are_read_back(title: str, classes: list[str]) -> None:
    words = {name: [name] for name in classes}
    content = {**RIGHT, "title": title, "classes": classes, "words": words}
    card = _read(yaml.safe_dump(content, allow_unicode=True).encode())
    assert card is not None
    assert (card.title, card.classes, card.words) == (title, classes, words)


@QUICK
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_any_value_gives_a_card_or_an_input_error(changes: dict[str, object]) -> None:
    _read(yaml.safe_dump({**RIGHT, **changes}).encode())


@QUICK
@given(
    content=st.binary(max_size=40) | st.text("title:[]{}&*!|>'\"\n ,$", max_size=40).map(str.encode)
)
def test_any_bytes_are_an_input_error(content: bytes) -> None:
    assert _read(content) is None
