"""The paired report in the metadata of any eva dataset."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from clipit_eva.clip.recorded_clip import RecordedCLIP
from clipit_eva.data.hold_out import HoldOut
from clipit_eva.data.paired import PairedDataset
from clipit_eva.data.wrapper import eva_index
from clipit_eva.embeddings.image_content import content_digest
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.pairing import pairing_table

WritePairs = Callable[..., Path]
MakeSlides = Callable[..., Any]


@pytest.fixture
def pair(slides: MakeSlides, source: ReportSource) -> Callable[..., PairedDataset]:
    """Returns a function that pairs a dataset by a table and sets it up."""

    def make(path: Path | None, dataset: Any = None, **arguments: Any) -> PairedDataset:
        settings = {"split": "train", "reports": source, **arguments}
        table = None if path is None else str(path)
        dataset = slides() if dataset is None else dataset  # unconfigured, it is empty: false
        paired = PairedDataset(dataset, pairing_table=table, **settings)
        paired.setup()
        return paired

    return make


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_metadata_has_the_reports_of_the_table(
    pair: Any,
    write_pairs: WritePairs,
    neighbours: np.ndarray,
    similarities: np.ndarray,
    top_k: int,
) -> None:
    dataset = pair(write_pairs(), top_k=top_k)
    for index in (0, 5, 19):
        _, target, metadata = dataset[index]
        assert metadata["site"] == f"site {index % 2}"  # what the dataset itself says stays
        assert metadata["report_index"].dtype == torch.int64
        assert metadata["report_index"].tolist() == neighbours[index, :top_k].tolist()
        assert metadata["report_id"] == f"r{neighbours[index, 0]}"
        scores = np.exp(similarities[index, :top_k].astype(float) / 0.07)
        assert metadata["report_weight"].dtype == torch.float32
        np.testing.assert_allclose(metadata["report_weight"], scores / scores.sum(), rtol=1e-5)
        assert target == dataset.load_target(index)
        loaded = dataset.load_metadata(index)
        assert loaded.keys() == metadata.keys()
        assert torch.equal(loaded["report_weight"], metadata["report_weight"])


def test_rows_of_a_shuffled_table_are_found(
    pair: Any, write_pairs: WritePairs, neighbours: np.ndarray
) -> None:
    path = write_pairs(lambda pairs: pairs.sample(frac=1, random_state=0))
    dataset = pair(path, top_k=3)
    found = [dataset[index][2]["report_index"].tolist() for index in range(20)]
    assert found == neighbours.tolist()


def test_hold_out_inside_keeps_the_pairs_of_its_images(
    pair: Any, write_pairs: WritePairs, slides: MakeSlides, neighbours: np.ndarray
) -> None:
    dataset = pair(write_pairs(), HoldOut(slides(), "hold_out", share=0.3), top_k=2)
    assert 0 < len(dataset) < 20
    for position in range(len(dataset)):
        index = eva_index(dataset, position)
        image, _, metadata = dataset[position]
        assert image[0, 0, 0] == index
        assert metadata["report_index"].tolist() == neighbours[index, :2].tolist()


@pytest.fixture
def on_disk(slides: MakeSlides, tmp_path: Path) -> Any:
    """The slides as files."""
    dataset = slides()
    dataset._root = tmp_path / "slides"
    dataset._root.mkdir()
    for number in range(20):
        (dataset._root / f"slide_{number}.tif").write_bytes(bytes([number]))
    return dataset


def test_pairs_of_images_that_changed_since_are_refused(
    pair: Any, write_pairs: WritePairs, on_disk: Any, tmp_path: Path
) -> None:
    on_disk.setup()
    path = write_pairs(files=content_digest(on_disk, tmp_path))
    pair(path, HoldOut(on_disk, "hold_out", share=0.3))
    changed = on_disk._root / "slide_7.tif"
    changed.write_bytes(b"x")
    with pytest.raises(InputError, match=r"pairs.parquet was made of other images.*'train'"):
        pair(path, on_disk)
    changed.write_bytes(bytes([7]))
    pair(path, on_disk)


def test_an_old_table_is_used_with_one_warning(
    pair: Any, write_pairs: WritePairs, on_disk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_pairs()
    pair(path, on_disk)
    pair(path, on_disk)
    assert caplog.text.count("does not say what was in its images") == 1
    assert not list(path.parent.glob("content-*"))


def test_a_table_that_no_image_was_read_for_fits_any(
    pair: Any, write_pairs: WritePairs, on_disk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pair(write_pairs(files=None), on_disk)
    assert not caplog.text


def test_samples_collate(pair: Any, write_pairs: WritePairs) -> None:
    dataset = pair(write_pairs(), top_k=2)
    _, targets, metadata = default_collate([dataset[index] for index in range(4)])
    assert targets.shape == (4,)
    assert metadata["report_index"].shape == metadata["report_weight"].shape == (4, 2)
    assert metadata["report_id"] == [dataset[index][2]["report_id"] for index in range(4)]
    assert torch.allclose(metadata["report_weight"].sum(1), torch.ones(4))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_behave_alike(pair: Any, write_pairs: WritePairs, clone: Any) -> None:
    dataset = pair(write_pairs(), top_k=2)
    ours, theirs = clone(dataset)[3][2], dataset[3][2]
    assert ours["report_id"] == theirs["report_id"]
    assert torch.equal(ours["report_index"], theirs["report_index"])


def test_pairs_without_similarity_weigh_alike(pair: Any, write_pairs: WritePairs) -> None:
    path = write_pairs(lambda pairs: pairs.assign(similarity=np.float32("nan")))
    assert pair(path, top_k=2)[0][2]["report_weight"].tolist() == [0.5, 0.5]


def test_no_text_ablation_reads_and_adds_nothing(slides: MakeSlides) -> None:
    nowhere = ReportSource("/nowhere/reports.txt", clip_model="none")
    dataset = PairedDataset(slides(), "train", nowhere, "/nowhere.parquet", distill_weight=0.0)
    dataset.setup()
    assert dataset[0][2] == {"site": "site 0"}


def test_labels_and_images_are_those_of_the_dataset(
    pair: Any, write_pairs: WritePairs, slides: MakeSlides
) -> None:
    plain = slides(transforms=lambda image, target: (image * 2, target))
    dataset = pair(write_pairs(), plain)
    for index in range(20):
        assert torch.equal(dataset[index][0], plain[index][0])
        assert dataset[index][1] == plain[index][1]


def _drop(index: int, rank: int) -> Callable[..., Any]:
    return lambda pairs: pairs[~((pairs["index"] == index) & (pairs["rank"] == rank))]


def _rename(column: str, value: str) -> Callable[..., Any]:
    def change(pairs: Any) -> Any:
        pairs.loc[pairs["index"] == 7, column] = value
        return pairs

    return change


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ({"dataset": "eva.BACH"}, {}, r"made for eva\.BACH with 20 images .* not for .*Slides"),
        ({"length": 21}, {}, "with 21 images in split 'train', not for .*Slides with 20"),
        ({"split": "test"}, {}, r"has no split 'train' \(it has test\)"),
        ({}, {"split": "val"}, r"has no split 'val' \(it has train\)"),
        ({"change": _drop(4, 0)}, {}, r"0 of 1 reports for image 4 \(slide_4.tif\)"),
        ({"change": _drop(4, 2)}, {"top_k": 3}, r"2 of 3 reports for image 4 .* with TOP_K=3"),
        ({}, {"top_k": 4}, "3 of 4 reports for image 0 .* with TOP_K=4"),
        ({"change": _rename("filename", "x.tif")}, {}, "has x.tif as image 7 .* has slide_7.tif"),
        ({"change": _rename("report_id", "zzz")}, {}, "names report 'zzz', which REPORTS lacks"),
        ({"change": lambda pairs: pairs.iloc[:0]}, {}, "0 of 1 reports for image 0"),
    ],
)
def test_tables_of_other_data_are_refused(
    pair: Any, write_pairs: WritePairs, table: Any, settings: Any, message: str
) -> None:
    path = write_pairs(**table)
    with pytest.raises(InputError, match=message) as caught:
        pair(path, **settings)
    assert str(path) in str(caught.value)


def test_tables_of_other_reports_are_refused(
    pair: Any, write_pairs: WritePairs, tmp_path: Path
) -> None:
    path, other = write_pairs(), tmp_path / "other.csv"
    text = (tmp_path / "reports.csv").read_text()
    other.write_text(text.replace("report 5", "report five"))
    with pytest.raises(
        InputError, match=r"made of other reports \(.*reports.csv, sha256 .*REPORTS"
    ):
        pair(path, reports=ReportSource(str(other), clip_model="none"))


def test_tables_of_another_clip_model_are_refused(
    pair: Any, write_pairs: WritePairs, tmp_path: Path
) -> None:
    """Compared by what was recorded of the model when it was loaded last."""
    path = write_pairs()
    pairs, made = pairing_table.read_pairs(path)
    kept = tmp_path / "kept"
    source = ReportSource(str(tmp_path / "reports.csv"), clip_model="none", cache_dir=str(kept))
    recorded = RecordedCLIP(("none", None, None), kept)
    recorded._keep({"model": "none", "weights": "abc"}, 4)
    pairing_table.write_pairs(pairs, path, {**made, "clip": {"weights": "abc"}})
    pair(path, reports=source)
    pairing_table.write_pairs(pairs, path, {**made, "clip": {"weights": "def"}})
    with pytest.raises(InputError, match=r"its weights is def\) than CLIP_MODEL \(abc\)"):
        pair(path, reports=source)


def test_reports_and_table_are_needed(pair: Any, write_pairs: WritePairs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="PAIRING_TABLE is not set"):
        pair(None)
    with pytest.raises(InputError, match="does not exist"):
        pair(tmp_path / "missing.parquet")
    with pytest.raises(InputError, match="REPORTS is not set"):
        pair(write_pairs(), reports=ReportSource(None, clip_model="none"))


@pytest.mark.parametrize("top_k", [0, -1])
def test_top_k_below_one_is_refused(slides: MakeSlides, source: ReportSource, top_k: int) -> None:
    with pytest.raises(InputError, match=f"TOP_K={top_k} must be at least 1"):
        PairedDataset(slides(), "train", source, None, top_k=top_k)
