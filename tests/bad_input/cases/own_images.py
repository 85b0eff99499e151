"""Folders and indices of one's own images that are none."""

import functools
from pathlib import Path

from PIL import Image
from wrong_input import Case

from clipit_eva.tasks import configs

CARD = """\
title: Mine
dataset: clipit_eva.data.LabelledImages
{arguments}splits: {{train: train, val: val, test: test}}
classes: [a, b]
metric: val/MulticlassAccuracy
patience: 5
"""


def _write(index: str | None, only: str, folder: Path, shared: Path) -> None:
    """Writes nine images of each class, the config, and maybe an index."""
    for kind in "ab":
        (folder / "images" / kind).mkdir(parents=True)
        for number in range(9 * (kind in only)):
            Image.new("RGB", (64, 64)).save(folder / "images" / kind / f"{number}.png")
    if index is not None:
        (folder / "images" / "index.csv").write_text(index)
    arguments = "" if index is None else "arguments: {index: index.csv}\n"
    (folder / "mine.yaml").write_text(CARD.format(arguments=arguments))
    config = configs.path("unimodal", folder / "mine.yaml")
    (folder / "config.yaml").write_text(config.read_text())


def _index(group: str = "", split: str = "", label: str = "{kind}") -> str:
    """An index of all images, each column a pattern of `kind` and `number`."""
    given = {"filename": "{kind}/{number}.png", "label": label, "group": group, "split": split}
    kept = {name: pattern for name, pattern in given.items() if pattern}
    rows = [
        ",".join(pattern.format(kind=kind, number=number) for pattern in kept.values())
        for kind in "ab"
        for number in range(9)
    ]
    return "\n".join([",".join(kept), *rows, ""])


def _case(wrong: str, index: str | None, names: str, only: str = "ab") -> Case:
    return Case(wrong, "eva fit config.yaml", variables={"DATA_ROOT": "images"}, names=names,
                spoil=functools.partial(_write, index, only))  # fmt: skip


CASES = [
    _case("a class folder that is empty", None, "images/b", only="a"),
    _case("an index that names a missing file", _index() + "a/10.png,a\n", "a/10.png"),
    _case("a label with one group", _index(group="{kind}"), "label 'a'"),
    _case("a group on two sides", _index(group="g").replace("group", "group,split")
          .replace(",g\n", ",g,train\n", 9).replace(",g\n", ",g,test\n"), "group 'g'"),
    _case("a label that the card lacks", _index(label="{kind}x"), "label 'ax'"),
    _case("an image twice", _index() + "a/0.png,a\n", "a/0.png"),
    _case("an unknown split", _index(split="dev"), "dev"),
    _case("an index without labels", "filename\na/0.png\n", "label"),
]  # fmt: skip
