"""One's own labelled images: folders, indices, splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from clipit_eva.data.image_index import read_folders, with_splits
from clipit_eva.data.labelled_images import LabelledImages
from clipit_eva.errors import InputError

CLASSES = ["scc", "adeno"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twenty images of each of two classes; two of each patient."""
    folder = tmp_path / "images"
    for kind in CLASSES:
        (folder / kind).mkdir(parents=True)
        for number in range(20):
            colour = (10 * number, 100 * CLASSES.index(kind), 7)
            Image.new("RGB", (4, 3), colour).save(folder / kind / f"{number:02d}.png")
    return folder


def rows(**columns) -> pd.DataFrame:
    names = [f"{kind}/{number:02d}.png" for kind in CLASSES for number in range(20)]
    table = pd.DataFrame({"filename": names, "label": [name.partition("/")[0] for name in names]})
    return table.assign(**columns)


PATIENTS = [f"p{number // 2 % 10}" for number in range(40)]


def write(root: Path, table: pd.DataFrame, name: str = "index.csv") -> str:
    if name.endswith(".csv"):
        table.to_csv(root / name, index=False)
    else:
        table.to_parquet(root / name)
    return name


def read(root: Path, split: str = "train", **arguments) -> LabelledImages:
    dataset = LabelledImages(str(root), split, CLASSES, **arguments)
    dataset.setup()
    return dataset


def names(dataset: LabelledImages) -> list[str]:
    return [dataset.filename(index) for index in range(len(dataset))]


def test_class_folders(root: Path) -> None:
    parts = {split: read(root, split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [26, 6, 8]
    found = [name for part in parts.values() for name in names(part)]
    assert sorted(found) == sorted(rows()["filename"])
    train = parts["train"]
    assert names(train) == sorted(names(train))
    assert (train.classes, train.class_to_idx) == (CLASSES, {"scc": 0, "adeno": 1})
    for index, name in enumerate(names(train)):
        image, target, _ = train[index]
        assert np.array_equal(image, np.asarray(Image.open(root / name)).transpose(2, 0, 1))
        assert (target.dtype, CLASSES[target]) == (torch.long, name.partition("/")[0])
        assert train.group(index) is None


@pytest.mark.parametrize("name", ["index.csv", "index.parquet"])
@pytest.mark.parametrize("column", ["group", "patient", "slide"])
def test_drawn_splits_part_no_group(root: Path, name: str, column: str) -> None:
    index = write(root, rows(**{column: PATIENTS}).sample(frac=1, random_state=1), name)
    parts = [read(root, split, index=index) for split in ("train", "val", "test")]
    groups = [{str(part.group(n)) for n in range(len(part))} for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 10
    assert all(set(part.targets.tolist()) == {0, 1} for part in parts)
    assert [len(part) for part in parts] == [24, 8, 8]


def test_seed_of_splits(root: Path) -> None:
    first, same, other = (read(root, split_seed=seed) for seed in (1, 1, 2))
    assert names(first) == names(same) != names(other)


def test_splits_of_the_index(root: Path) -> None:
    split = ["train", "val", "test", "train"] * 10
    index = write(root, rows(split=split, note="x"))
    given = rows(split=split)
    for part in ("train", "val", "test"):
        expected = sorted(given["filename"][given["split"] == part])
        assert names(read(root, part, index=index)) == expected


def test_numbers_stay_as_written(root: Path) -> None:
    index = write(root, rows(group=[f"{n:03d}" for n in range(40)]))
    assert len(read(root, index=index).group(0) or "") == 3
    index = write(root, rows(group=list(range(40))), "index.parquet")
    assert (read(root, index=index).group(0) or "").isdecimal()


def test_one_logit_wants_float_targets(root: Path) -> None:
    dataset = read(root, one_logit=True)
    assert {dataset.load_target(n).dtype for n in range(len(dataset))} == {torch.float32}


def test_files_are_read_once(root: Path) -> None:
    index = write(root, rows())
    dataset = read(root, index=index)
    (root / index).unlink()
    dataset.setup()
    assert len(dataset) == 26


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"filename": "scc/00.png"}, r"names scc/00\.png twice"),
        ({"filename": [f"{n}.png" for n in range(40)]}, "there is no image 0.png below DATA_ROOT="),
        ({"filename": ["../x.png"] + [f"scc/{n}" for n in range(39)]}, "no image ../x.png below"),
        ({"label": ["scc", ""] * 20}, "has no label in row 2"),
        ({"label": ["scc", "adneo"] * 20}, "label 'adneo' is none of the card's classes"),
        ({"label": "scc"}, "no image has the label 'adeno'"),
        ({"split": ["train", "dev"] * 20}, "split 'dev' must be one of train, val, test"),
        ({"split": ["val", "test"] * 20}, "has no split 'train'; it has test, val"),
        ({"split": ["train", "test"] * 20, "group": PATIENTS},
         "group 'p0' is in train and test; put all of it into one split"),
        ({"group": ["a"] * 20 + [str(n) for n in range(20)]},
         r"label 'scc' has too few groups \(1, such as a\)"),
    ],
)  # fmt: skip
def test_wrong_index_is_named(root: Path, columns, message: str) -> None:
    index = write(root, rows(**columns))
    with pytest.raises(InputError, match=f"^index {root / index}:? .*{message}"):
        read(root, index=index)


def test_unreadable_index_is_named(root: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv does not exist; check `index`"):
        read(root, index="none.csv")
    (root / "bad.csv").write_bytes(b"\xff\xfe")
    (root / "bad.parquet").write_bytes(b"no parquet")
    for name in ("bad.csv", "bad.parquet"):
        with pytest.raises(InputError, match=f"{name} is no readable CSV or parquet"):
            read(root, index=name)
    index = write(root, rows().rename(columns={"label": "class"}))
    with pytest.raises(InputError, match="lacks column 'label'; it has filename, class"):
        read(root, index=index)


def test_wrong_folder_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none is no folder"):
        read(tmp_path / "none")
    (root / "other").mkdir()
    read(root)  # an empty folder is no class
    Image.new("RGB", (2, 2)).save(root / "other" / "a.png")
    with pytest.raises(InputError, match="label 'other' is none of the card's classes"):
        read(root)
    (root / "other" / "a.png").rename(root / "a.png")
    with pytest.raises(InputError, match=r"a\.png lies in no class folder"):
        read(root)
    (root / "a.png").unlink()
    for path in (root / "scc").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=f"class folder {root}/scc holds no image"):
        read(root)


def test_few_images_are_named(root: Path) -> None:
    for path in sorted((root / "scc").iterdir())[2:]:
        path.unlink()
    with pytest.raises(InputError, match="label 'scc' has too few images"):
        with_splits(read_folders(root), 0, "DATA_ROOT")


def test_groups_that_cannot_be_drawn_are_named() -> None:
    """Each label is of three of four groups: no draw has one in each split for all of them."""
    of_label = {"a": "123", "b": "124", "c": "134"}
    pairs = [(label, group) for label, groups in of_label.items() for group in groups]
    table = pd.DataFrame(pairs, columns=["label", "group"])
    table["filename"] = table["label"] + table["group"]
    with pytest.raises(InputError, match=r"^index: no group of label '.' could be drawn for"):
        with_splits(table, 0, "index")
