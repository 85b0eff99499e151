"""Embeddings that are missing, of something else, or damaged: one line that says which."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipit_eva.embeddings import EmbeddedBackbone, embedded_split
from clipit_eva.errors import InputError


@pytest.fixture
def embedded(embed: Any, tiles: Any) -> Any:
    """The dataset, once its embeddings are there."""
    dataset = tiles()
    embed({"train": dataset})
    return dataset


def test_embeddings_are_mapped_not_read(embedded: Any, backbone: Any) -> None:
    rows, _ = embedded_split.read(backbone, embedded, "train")
    assert rows.base is not None
    assert not rows.flags.writeable
    assert type(rows).__name__ == "memmap"


def test_nothing_there(backbone: Any, tiles: Any) -> None:
    with pytest.raises(InputError) as caught:
        embedded_split.read(backbone, tiles(), "train")
    assert str(caught.value) == (
        f"EMBEDDINGS_ROOT={backbone.root} has no embeddings of split 'train' of Tiles by "
        'MODEL_NAME=clipit_eva/demo_vit; run `eva predict --config "$(clipit-eva configs '
        'embeddings/TASK)"` with the same variables first'
    )


def test_command_names_the_shipped_config() -> None:
    for name, task in (("BACH", "bach"), ("CRC", "crc"), ("PatchCamelyon", "patch_camelyon")):
        assert f"embeddings/{task})" in embedded_split._command({"dataset": f"eva.{name}"})


def test_other_transform(embedded: Any, backbone: Any, tiles: Any) -> None:
    other = tiles()
    other.images = other.images * 2
    with pytest.raises(InputError, match=r"there are some, of another transform \(RESIZE_DIM, "):
        embedded_split.read(backbone, other, "train")


def test_other_length(embedded: Any, backbone: Any, tiles: Any) -> None:
    with pytest.raises(InputError, match="number of images: 10, not 12"):
        embedded_split.read(backbone, tiles(12), "train")


def test_other_split(embedded: Any, backbone: Any) -> None:
    with pytest.raises(
        InputError, match=r"has no embeddings of split 'val' of Tiles by [^(]*; run"
    ):
        embedded_split.read(backbone, embedded, "val")


@pytest.mark.parametrize(
    ("name", "kwargs", "word"),
    [
        ("other", None, "MODEL_NAME: clipit_eva/demo_vit, not other"),
        ("clipit_eva/demo_vit", {"depth": 2}, "MODEL_EXTRA_KWARGS: {}, not {'depth': 2}"),
    ],
)
def test_other_backbone(embedded: Any, backbone: Any, name: Any, kwargs: Any, word: str) -> None:
    other = EmbeddedBackbone(name, kwargs, str(backbone.root))
    with pytest.raises(InputError) as caught:
        embedded_split.read(other, embedded, "train")
    assert word in str(caught.value)


def test_other_weights_of_the_same_name(embedded: Any, backbone: Any) -> None:
    backbone.keep_record("0" * 64, 96)
    with pytest.raises(InputError, match="of another weights of the backbone"):
        embedded_split.read(backbone, embedded, "train")


def test_nearest_embeddings_are_named(embedded: Any, backbone: Any, embed: Any, tiles: Any) -> None:
    """Of several, those with the fewest differences."""
    other = tiles(12, 5)
    embed({"train": other})
    changed = tiles(12, 5)
    changed.images = changed.images + 1
    with pytest.raises(InputError, match=r"\(there are some, of another transform [^:]*\); run"):
        embedded_split.read(backbone, changed, "train")


def _file(backbone: Any, pattern: str) -> Path:
    (path,) = backbone.root.glob(pattern)
    return path


@pytest.mark.parametrize("pattern", ["vision-*[0-9a-f].npy", "vision-*.targets.npy"])
@pytest.mark.parametrize("change", ["flipped", "cut"])
def test_damaged_file(embedded: Any, backbone: Any, pattern: str, change: str) -> None:
    path = next(
        p for p in backbone.root.glob(pattern) if ("targets" in pattern) == ("targets" in p.name)
    )
    data = bytearray(path.read_bytes())
    if change == "flipped":
        data[-3] ^= 1
    else:
        del data[-3:]
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path.name} are damaged .*; delete both and run"):
        embedded_split.read(backbone, embedded, "train")


def test_deleted_damaged_files_are_made_again(
    embedded: Any, backbone: Any, embed: Any, tiles: Any
) -> None:
    path = _file(backbone, "vision-*.sha256").with_suffix(".npy")
    expected = path.read_bytes()
    path.write_bytes(expected[:-1])
    path.unlink()
    path.with_suffix(".sha256").unlink()
    embed({"train": tiles()})
    assert path.read_bytes() == expected
    embedded_split.read(backbone, embedded, "train")


def test_one_label_that_was_mended_in_an_index(embedded: Any, backbone: Any) -> None:
    """Of ten labels eight are compared, of a dataset with `targets` all."""
    probes = set(np.linspace(0, 9, 8).astype(int).tolist())
    mended = min(set(range(10)) - probes)
    labels = embedded.labels.clone()
    labels[mended] += 1
    embedded.labels = labels
    embedded_split.read(backbone, embedded, "train")
    embedded.targets = labels.numpy()
    with pytest.raises(InputError, match=rf"another label of tile {mended}\.png"):
        embedded_split.read(backbone, embedded, "train")


def test_labels_that_were_changed(embedded: Any, backbone: Any) -> None:
    embedded.labels = torch.ones(10, dtype=torch.long)
    with pytest.raises(
        InputError, match=r"another label of tile 0\.png than the dataset; delete it"
    ):
        embedded_split.read(backbone, embedded, "train")


def test_checksums_are_read_by_sha256sum(embedded: Any, backbone: Any) -> None:
    command = ["sha256sum", "--check", "--strict", _file(backbone, "*.sha256").name]
    answer = subprocess.run(command, cwd=backbone.root, capture_output=True, text=True)
    assert answer.stdout.count(": OK") == 2
