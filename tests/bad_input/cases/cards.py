"""Task cards that are none, and the command that renders configs."""

from wrong_input import Case

RIGHT = """\
title: Mine
dataset: eva.vision.datasets.BACH
splits: {train: train, test: val}
classes: [a, b]
metric: val/MulticlassAccuracy
patience: 5
"""
COMMAND = "clipit-eva configs clip_it --task card.yaml"


def _card(wrong: str, text: str, names: str = "card.yaml", quotes: bool = False) -> Case:
    return Case(wrong, COMMAND, files={"card.yaml": text.encode()}, names=names, quotes=quotes)


def _instead(wrong: str, found: str, other: str, names: str) -> Case:
    """A case of a right card with other words."""
    assert found in RIGHT
    return _card(wrong, RIGHT.replace(found, other), names)


CASES = [
    Case("a card that is not there", COMMAND, names="card.yaml"),
    _card("an empty card", ""),
    _card("a list", "[a]"),
    _card("YAML that does not parse", "title: [a", quotes=True),
    _card("a key twice", RIGHT + "title: b\n", quotes=True),
    Case("Latin-1", COMMAND, files={"card.yaml": b"title: \xfc\n"}, names="card.yaml",
         quotes=True),
    _card("an unknown key", RIGHT + "clases: [a, b]\n", "clases"),
    _instead("no dataset", "dataset: eva.vision.datasets.BACH\n", "", "dataset"),
    _instead("a number as the title", "title: Mine", "title: 7", "title"),
    _instead("a blank title", "title: Mine", "title: ' '", "title"),
    _instead("one class", "[a, b]", "[a]", "classes"),
    _instead("a class twice", "[a, b]", "[a, a]", "classes"),
    _instead("a class that YAML takes for false", "[a, b]", "[yes, no]", "classes"),
    _instead("no test split", ", test: val", "", "splits"),
    _instead("an unknown part", "test: val", "test: val, dev: x", "dev"),
    _instead("a patience of 0", "patience: 5", "patience: 0", "patience"),
    _instead("a patience in words", "patience: 5", "patience: five", "patience"),
    _card("a binary task of three classes",
          RIGHT.replace("[a, b]", "[a, b, c]") + "binary: true\n", "binary"),
    _card("words of other classes", RIGHT + "words: {a: [x], c: [y]}\n", "words"),
    _card("no label a class", RIGHT + "labels_per_class: 0\n", "labels_per_class"),
    Case("a card whose name is no name", "clipit-eva configs clip_it --task 'my card.yaml'",
         files={"my card.yaml": RIGHT.encode()}),
    Case("an unknown method", "clipit-eva configs clip-it --task card.yaml",
         files={"card.yaml": RIGHT.encode()}, names="clip-it"),
    Case("no method", "clipit-eva configs --task card.yaml", files={"card.yaml": RIGHT.encode()}),
    Case("a config misspelt", "clipit-eva configs clip_it/bahc", names="clip_it/bahc"),
]  # fmt: skip
