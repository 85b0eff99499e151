"""The pairing callback in eva's trainer."""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipit_eva import provenance
from clipit_eva.embeddings.image_content import content_digest
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.pairing.policies import PairingPolicy


def test_table_is_that_of_a_float64_brute_force(
    predict: Any, tiles: Any, source: ReportSource
) -> None:
    datasets = {"train": tiles(10, 0), "val": tiles(5, 1)}
    read, made = read_pairs(predict(datasets))
    clip = source.load_clip()
    reports = np.asarray(source.embeddings(), dtype=np.float64)
    for split, dataset in datasets.items():
        with torch.inference_mode():
            images = clip.image_encoder(dataset.images).double().numpy()
        cosines = images @ reports.T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :2]
        rows = read[read["split"] == split].sort_values(["index", "rank"])
        assert rows["report_id"].tolist() == [f"r{row}" for row in order.ravel()]
        assert rows["filename"].tolist() == [
            f"tile {n}.png" for n in range(len(dataset)) for _ in range(2)
        ]
        expected = np.take_along_axis(cosines, order, axis=1).ravel()
        np.testing.assert_allclose(rows["similarity"], expected, rtol=0, atol=1e-5)
    assert made["kind"] == "pairing table"
    assert made["clip"] == dict(clip.identity)
    assert made["reports"]["sha256"] == source.corpus().sha256
    assert made["reports"]["count"] == 7
    name = provenance.class_path(datasets["train"])
    assert made["datasets"] == {
        "train": {"class": name, "length": 10, "files": None},
        "val": {"class": name, "length": 5, "files": None},
    }
    assert made["versions"]["torch"] == metadata.version("torch")


def test_the_table_says_what_was_in_the_images_that_were_read(
    predict: Any, tiles: Any, source: ReportSource, tmp_path: Path
) -> None:
    dataset = tiles(3, 0)
    dataset._root = tmp_path
    for index in range(3):
        (tmp_path / dataset.filename(index)).write_bytes(bytes([index]))
    _, made = read_pairs(predict({"train": dataset}))
    assert made["datasets"]["train"]["files"] == content_digest(dataset, source.cache_dir)
    control = {"policy": PairingPolicy("random")}
    _, made = read_pairs(predict({"train": dataset}, writer=control))
    assert made["datasets"]["train"]["files"] is None


def test_labels_are_not_read(predict: Any, tiles: Any) -> None:
    """The same bytes, whatever the labels."""
    tables = [
        predict({"train": tiles(10, 0, labels)}, name=f"{position}.parquet").read_bytes()
        for position, labels in enumerate([lambda n: 0, lambda n: n % 4, lambda n: 3 - n % 4])
    ]
    assert tables[0] == tables[1] == tables[2]


def test_batch_size_does_not_change_the_pairs(predict: Any, tiles: Any) -> None:
    tables = [
        read_pairs(predict({"train": tiles(10, 0)}, batch_size=size))[0] for size in (1, 3, 10)
    ]
    for table in tables[1:]:
        assert table["report_id"].tolist() == tables[0]["report_id"].tolist()
        np.testing.assert_allclose(table["similarity"], tables[0]["similarity"], atol=1e-6)


def test_an_old_table_stays_when_pairing_fails(predict: Any, tiles: Any) -> None:
    path = predict({"train": tiles(4, 0)})
    before = path.read_bytes()
    with pytest.raises(InputError, match="only 4 of 10 images were read"):
        predict({"train": tiles(10, 0)}, limit_predict_batches=1)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.glob(".*")] == []


@pytest.mark.parametrize(
    ("writer", "message"),
    [
        ({"top_k": 0}, "TOP_K=0 must be at least 1"),
        ({"top_k": 8}, "TOP_K=8, but REPORTS has 7"),
        ({"reports": ReportSource(None)}, "REPORTS is not set"),
    ],
)
def test_what_is_wrong_is_said_before_images_are_read(
    predict: Any, tiles: Any, writer: dict[str, Any], message: str
) -> None:
    dataset = tiles(4, 0)
    dataset.load_data = None  # reading an image would fail
    with pytest.raises(InputError, match=message):
        predict({"train": dataset}, writer=writer)


def test_images_without_an_embedding_are_refused(predict: Any, tiles: Any) -> None:
    dataset = tiles(4, 0)
    dataset.images[2, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="not numbers"):
        predict({"train": dataset})


@pytest.mark.parametrize("names", [{0: "train"}, {0: "train", 1: "val", 2: "test"}])
def test_each_dataset_needs_a_split(
    predict: Any, tiles: Any, source: ReportSource, tmp_path: Path, names: dict[int, str]
) -> None:
    with pytest.raises(InputError, match="splits"):
        predict({"train": tiles(4, 0), "val": tiles(4, 1)}, splits=names)
