"""Cards: what they hold and how mistakes in them are told."""

import inspect
from pathlib import Path

import pytest
from eva.vision import datasets

from clipit_eva.errors import InputError
from clipit_eva.tasks.card import read_card, shipped_cards

BACH = shipped_cards()["bach"].read_text()


def write(folder: Path, text: str | bytes, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("name", shipped_cards())
def test_shipped_cards_are_short_whole_and_as_the_dataset(name) -> None:
    path = shipped_cards()[name]
    card = read_card(path)
    assert len(path.read_text().splitlines()) <= 25
    assert set(card.words or {}) == set(card.classes)
    kind = getattr(datasets, card.dataset.rpartition(".")[2])
    taken = inspect.signature(kind).parameters
    images = kind(root="nowhere", split=card.splits["train"])
    assert card.classes == images.classes
    assert ("download" in taken) is (card.download is not None)
    for split in card.splits.values():
        assert f"'{split}'" in str(taken["split"].annotation)


def test_card_in_the_docs(tmp_path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "adding.md").read_text()
    card = read_card(write(tmp_path, docs.split("```yaml\n")[1].partition("```")[0]))
    assert card.title == "Stains"


def test_what_may_be_left_out(tmp_path) -> None:
    short = """
title: Mine
dataset: my.package.Images
splits: {train: train, val: val, test: test}
classes: [good, bad]
metric: val/MulticlassAccuracy
patience: 4
arguments: {index: "${oc.env:INDEX, index.csv}", sizes: [1, 2]}
"""
    card = read_card(write(tmp_path, short))
    assert (card.words, card.licence, card.binary) == (None, None, False)
    assert card.arguments == {"index": "${oc.env:INDEX, index.csv}", "sizes": [1, 2]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: BACH", "title: BACH\norgans: breast", "unknown key 'organs'; the keys are title,"),
        ("patience: 50\n", "", "lacks 'patience'"),
        ("patience: 50\n", "patience: often\n", "patience has to be of type int, not 'often'"),
        ("patience: 50\n", "patience: true\n", "patience has to be of type int, not True"),
        ("patience: 50\n", "patience: 0\n", "patience: 0 must be at least 1"),
        ("title: BACH", "title:", "title has to be of type str, not None"),
        ("title: BACH", "title: 'a\n\n  b: c'", "title has to be one line of text"),
        ("title: BACH", "title: a\ntitle: b", "cannot be read .* duplicate key title"),
        ("title: BACH", "title: a\nbinary: true", "binary: there are 4 classes, not 2"),
        ("test: val}", "tset: val}", "splits: unknown part 'tset'; they are train, val, test"),
        (", test: val}", "}", "splits lacks 'test'"),
        ("test: val}", "test: [val]}", r"splits has to be of type dict\[str, str\], not"),
        ("[Benign,", "[no,", r"classes has to be of type list\[str\], not \[False,"),
        ("[Benign,", "[InSitu,", "classes has to name two or more, each once"),
        ("[Benign,", "[Bening,", "words and classes name different classes: Benign, Bening"),
        (BACH, "", "lacks 'title'"),
        (BACH, "- a", "is no mapping"),
        (BACH, "a: [", "cannot be read"),
    ],
)
def test_mistake_names_the_file_and_the_key(tmp_path, old, new, message) -> None:
    assert old in BACH
    path = write(tmp_path, BACH.replace(old, new))
    with pytest.raises(InputError, match=f"^task card {path}: {message}"):
        read_card(path)


def test_file_is_missing_binary_or_badly_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml does not exist; the shipped ones lie in"):
        read_card(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"mine\.yaml: cannot be read"):
        read_card(write(tmp_path, b"\xff\xfe\x00"))
    with pytest.raises(InputError, match=r"my card\.yaml: its name has to be of letters"):
        read_card(write(tmp_path, BACH, "my card.yaml"))
