"""Embeddings in place of images, sample by sample and as slices."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from clipit_eva.data import EmbeddedDataset, HoldOut, PairedDataset
from clipit_eva.data.wrapper import eva_dataset, eva_index
from clipit_eva.embeddings import EmbeddedBackbone, embedded_split
from clipit_eva.embeddings.images import image_facts
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.embeddings.row_store import RowStore

ROWS = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)


@pytest.fixture
def backbone(slides: Callable[..., Any], tmp_path: Path) -> EmbeddedBackbone:
    """A backbone whose embeddings of 20 slides are there."""
    backbone = EmbeddedBackbone("name", None, str(tmp_path / "embeddings"))
    backbone.keep_record("weights", 5)
    dataset = slides()
    dataset.setup()
    facts = {
        **image_facts(dataset, "train", backbone.root),
        **backbone.identity,
        "weights": "weights",
    }
    rows = RowStore(backbone.root, embedded_split.KIND, facts, 20, 5)
    with rows.lock():
        rows.start()
        rows.write(range(20), ROWS)
        rows.finish()
    embedded_split.complete(
        rows, np.array([int(dataset.load_target(index)) for index in range(20)])
    )
    return backbone


@pytest.fixture
def embedded(backbone: EmbeddedBackbone, slides: Callable[..., Any]) -> EmbeddedDataset:
    """The slides' embeddings."""
    dataset = EmbeddedDataset(slides(), "train", backbone)
    dataset.setup()
    return dataset


def _assert_equal(found: Any, expected: Any) -> None:
    """Compares batches of tensors, lists and dictionaries."""
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            _assert_equal(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _assert_equal(one, other)
    else:
        assert found == expected


def _assert_slices_are_what_samples_make(dataset: Any) -> None:
    """A data loader's batches are those that torch puts together of single samples."""

    class Singly(torch.utils.data.Dataset):
        def __getitem__(self, index: int) -> Any:
            return dataset[index]

        def __len__(self) -> int:
            return len(dataset)

    for options in ({}, {"shuffle": True}):
        batches = []
        for data in (dataset, Singly()):
            torch.manual_seed(3)
            batches.append(list(DataLoader(data, batch_size=7, **options)))
        _assert_equal(*batches)


def test_sample_is_the_embedding_with_target_and_metadata(embedded: EmbeddedDataset) -> None:
    embedding, target, metadata = embedded[4]
    assert torch.equal(embedding, torch.from_numpy(ROWS[4]))
    assert int(target) == 1
    assert metadata == {"site": "site 0"}
    assert embedded.classes == ["benign", "malignant", "normal"]
    assert embedded.filename(4) == "slide_4.tif"


def test_slices_are_what_samples_make(embedded: EmbeddedDataset) -> None:
    _assert_slices_are_what_samples_make(embedded)


def test_slices_through_a_hold_out(embedded: EmbeddedDataset) -> None:
    for part in ("train", "hold_out"):
        dataset = HoldOut(embedded, part)
        dataset.setup()
        _assert_slices_are_what_samples_make(dataset)
        assert eva_dataset(dataset) is embedded.wrapped
        rows = [eva_index(dataset, index) for index in range(len(dataset))]
        (batch,) = DataLoader(dataset, batch_size=20)
        np.testing.assert_array_equal(batch[0], ROWS[rows])


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("distill_weight", [0.0, 1.0])
def test_slices_with_paired_reports(
    embedded: EmbeddedDataset,
    source: ReportSource,
    write_pairs: Callable[..., Path],
    top_k: int,
    distill_weight: float,
) -> None:
    inner = HoldOut(embedded, "train")
    dataset = PairedDataset(inner, "train", source, str(write_pairs()), top_k, distill_weight)
    dataset.setup()
    _assert_slices_are_what_samples_make(dataset)
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    assert ("report_index" in batch[2]) == (distill_weight > 0)


def test_images_are_still_read_one_by_one(slides: Callable[..., Any]) -> None:
    dataset = HoldOut(slides(), "train")
    dataset.setup()
    assert dataset.__getitems__ is None
    _assert_slices_are_what_samples_make(dataset)


def test_worker_processes_read_the_same(embedded: EmbeddedDataset) -> None:
    ours = list(DataLoader(embedded, batch_size=7, num_workers=1))
    _assert_equal(ours, list(DataLoader(embedded, batch_size=7)))


def test_copy_for_a_spawned_worker(embedded: EmbeddedDataset) -> None:
    copy = pickle.loads(pickle.dumps(embedded))
    _assert_equal(list(copy[3]), list(embedded[3]))


def test_embeddings_are_read_once_in_a_session(
    embedded: EmbeddedDataset, backbone: EmbeddedBackbone
) -> None:
    for path in backbone.root.iterdir():
        path.unlink()
    embedded.setup()  # each stage of each run asks
    assert torch.equal(embedded[3][0], torch.from_numpy(ROWS[3]))


def test_not_set_up(backbone: EmbeddedBackbone, slides: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="setup has not been called"):
        EmbeddedDataset(slides(), "train", backbone)[0]
