"""The embedding callback in eva's trainer."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from eva.vision.models.networks.backbones import backbone_registry
from torch import nn

from clipit_eva.embeddings import EmbeddedBackbone, embedded_split
from clipit_eva.errors import InputError


def test_embeddings_are_those_of_the_backbone(embed: Any, backbone: Any, tiles: Any) -> None:
    datasets = {"train": tiles(10, 0), "val": tiles(5, 1)}
    embed(datasets)
    model = backbone.load()
    for split, dataset in datasets.items():
        rows, targets = embedded_split.read(backbone, dataset, split)
        with torch.inference_mode():
            expected = torch.stack([model(image[None])[0] for image in dataset.images])
        np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)
        assert targets.tolist() == dataset.labels.tolist()
        assert targets.dtype == torch.int64


@pytest.mark.parametrize("batch_size", [1, 10])
def test_batch_size_does_not_change_a_byte(
    embed: Any, backbone: Any, tiles: Any, batch_size: int, tmp_path: Any
) -> None:
    embed({"train": tiles()})
    other = EmbeddedBackbone(backbone.name, None, str(tmp_path / "other"))
    embed({"train": tiles()}, batch_size, backbone=other)
    names = sorted(path.name for path in backbone.root.iterdir())
    assert names == sorted(path.name for path in other.root.iterdir())
    assert len(names) == 5
    for name in names:
        assert (backbone.root / name).read_bytes() == (other.root / name).read_bytes()


def test_second_time_only_a_few_images_are_looked_at(embed: Any, backbone: Any, tiles: Any) -> None:
    embed({"train": tiles(40)})
    before = {path: path.stat().st_mtime_ns for path in backbone.root.iterdir()}
    again = tiles(40)
    embed({"train": again})
    assert len(again.read) <= 8
    assert before == {path: path.stat().st_mtime_ns for path in backbone.root.iterdir()}


def test_interrupted_embedding_goes_on(embed: Any, backbone: Any, tiles: Any) -> None:
    with pytest.raises(InputError, match="only 4 of 100 images were read"):
        embed({"train": tiles(100)}, limit_predict_batches=1)
    with pytest.raises(InputError, match="there are some, not finished"):
        embedded_split.read(backbone, tiles(100), "train")
    rest = tiles(100)
    embed({"train": rest})
    assert len(rest.read) <= 8 + 96
    assert embedded_split.read(backbone, rest, "train")[0].shape == (100, 96)


def test_a_split_that_is_there_stays_while_another_is_embedded(
    embed: Any, backbone: Any, tiles: Any
) -> None:
    embed({"train": tiles(10, 0), "val": tiles(5, 1)})
    changed = tiles(5, 2)
    embed({"train": tiles(10, 0), "val": changed})
    rows, _ = embedded_split.read(backbone, changed, "val")
    with torch.inference_mode():
        expected = backbone.load()(changed.images)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-5)
    assert embedded_split.read(backbone, tiles(10, 0), "train")[0].shape == (10, 96)


def test_embeddings_of_other_files_are_told_from_unfinished_ones(
    embed: Any, backbone: Any, tiles: Any
) -> None:
    embed({"train": tiles()})
    (rows,) = (path for path in backbone.root.glob("*.npy") if ".targets" not in path.name)
    facts = rows.with_suffix(".json")
    content = json.loads(facts.read_text())
    for path in backbone.root.glob(f"{rows.stem}.*"):
        path.unlink()
    older = facts.with_stem(rows.stem[:-4] + "0000")
    older.write_text(json.dumps({**content, "files": "of another day"}))
    with pytest.raises(InputError, match=r"there are some, of another content of the image files"):
        embedded_split.read(backbone, tiles(), "train")


@pytest.mark.parametrize("names", [{0: "train"}, {0: "train", 1: "val", 2: "test"}])
def test_each_dataset_needs_a_split(embed: Any, tiles: Any, names: dict[int, str]) -> None:
    with pytest.raises(InputError, match="EmbeddingsWriter: splits names positions"):
        embed({"train": tiles(4, 0), "val": tiles(4, 1)}, splits=names)


def test_what_gives_no_embedding_is_refused(embed: Any, tiles: Any, tmp_path: Any) -> None:
    name = "clipit_eva_tests/feature_maps"
    if name not in backbone_registry._registry:
        backbone_registry.register(name)(lambda: nn.Conv2d(3, 4, 1))
    with pytest.raises(InputError, match=f"MODEL_NAME={name} gives \\(1, 4, 16, 16\\)"):
        embed({"train": tiles()}, backbone=EmbeddedBackbone(name, None, str(tmp_path / "maps")))


def test_numbers_that_are_none_are_refused(embed: Any, tiles: Any) -> None:
    dataset = tiles()
    dataset.images[2] = float("nan")
    with pytest.raises(InputError, match=r"image 2 .* not numbers; check the image and MODEL_NAME"):
        embed({"train": dataset})
