"""Each image is embedded once: through other reports, interruptions and any batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clipit_eva.clip.model import CLIPModel
from clipit_eva.embeddings.encoding import FixedBatches
from clipit_eva.embeddings.images import _PROBES
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.pairing.policies import PairingPolicy


class CountingSource(ReportSource):
    """Counts the batches that the image encoder is asked for."""

    batches = 0

    def load_clip(self) -> CLIPModel:
        clip = super().load_clip()

        def count(*_: Any) -> None:
            type(self).batches += 1

        clip.image_encoder.register_forward_hook(count)
        return clip


@pytest.fixture
def counting(clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns a function that makes a source of some reports; they share one cache."""
    monkeypatch.setattr(CountingSource, "batches", 0)

    def make(*reports: str) -> CountingSource:
        path = tmp_path / f"{abs(hash(reports))}.txt"
        path.write_text("\n".join(reports))
        folder = str(tmp_path / "cache")
        return CountingSource(str(path), clip_model=str(clip_folder), cache_dir=folder)

    return make


def count_reads(dataset: Any) -> list[int]:
    """Notes each image that a dataset reads."""
    reads: list[int] = []
    load = dataset.load_data

    def load_data(index: int) -> torch.Tensor:
        reads.append(index)
        return load(index)

    dataset.load_data = load_data
    return reads


def test_pairing_with_other_reports_encodes_no_image(
    predict: Any, tiles: Any, counting: Any
) -> None:
    predict({"train": tiles(100, 0)}, writer={"reports": counting("mucin", "fat", "nerve")})
    assert CountingSource.batches == 2
    dataset = tiles(100, 0)
    reads = count_reads(dataset)
    path = predict({"train": dataset}, writer={"reports": counting("stroma", "gland")})
    assert CountingSource.batches == 2
    assert len(reads) <= _PROBES  # a few, to see that they are the same
    assert set(read_pairs(path)[0]["report_id"]) == {"line-000001", "line-000002"}


def test_changed_images_under_the_same_names_are_encoded_again(
    predict: Any, tiles: Any, counting: Any
) -> None:
    source = {"reports": counting("mucin", "fat", "nerve")}
    first = read_pairs(predict({"train": tiles(20, 0)}, writer=source))[0]
    second = read_pairs(predict({"train": tiles(20, 1)}, writer=source))[0]
    assert CountingSource.batches == 2
    assert not np.allclose(first["similarity"], second["similarity"])


@pytest.mark.parametrize("policy", ["random", "constant"])
def test_controls_that_look_at_no_image_read_none(
    predict: Any, tiles: Any, counting: Any, policy: str
) -> None:
    dataset = tiles(30, 0)
    reads = count_reads(dataset)
    options = {"reports": counting("mucin", "fat"), "policy": PairingPolicy(policy)}
    _, made = read_pairs(predict({"train": dataset}, writer=options))
    assert reads == []
    assert CountingSource.batches == 0
    assert made["control"] == policy
    assert made["policy"] == {"name": policy, "seed": 1}


@pytest.mark.parametrize("fail_at", [0, 3, 64, 149])
def test_interrupted_pairing_ends_with_the_same_bytes(
    predict: Any, tiles: Any, clip_folder: Path, tmp_path: Path, fail_at: int
) -> None:
    expected = predict({"train": tiles(150, 0)}).read_bytes()
    other = ReportSource(
        str(tmp_path / "reports.csv"),
        clip_model=str(clip_folder),
        cache_dir=str(tmp_path / "other"),
    )
    dataset = tiles(150, 0)
    load = dataset.load_data

    def fail(index: int) -> torch.Tensor:
        if index == fail_at and len(reads) > _PROBES:
            raise KeyboardInterrupt
        return load(index)

    dataset.load_data = fail
    reads = count_reads(dataset)
    with pytest.raises((SystemExit, KeyboardInterrupt)):
        predict({"train": dataset}, name="new.parquet", writer={"reports": other})
    assert not (tmp_path / "new.parquet").exists()
    dataset = tiles(150, 0)
    reads = count_reads(dataset)
    path = predict({"train": dataset}, name="new.parquet", writer={"reports": other})
    assert path.read_bytes() == expected
    done = fail_at - fail_at % 64
    assert len(reads) <= 150 - done + _PROBES


def test_batches_do_not_change_a_bit(
    predict: Any, tiles: Any, clip_folder: Path, tmp_path: Path
) -> None:
    tables = []
    for size in (1, 7, 64, 100):
        source = ReportSource(
            str(tmp_path / "reports.csv"),
            clip_model=str(clip_folder),
            cache_dir=str(tmp_path / f"{size}"),
        )
        (tmp_path / "reports.csv").write_text(
            "report_id,text\na,mucin\nb,fat and nerve\nc,stroma\n"
        )
        tables.append(
            predict({"train": tiles(70, 0)}, size, f"{size}.parquet", writer={"reports": source})
        )
    assert len({path.read_bytes() for path in tables}) == 1


def test_an_image_that_cannot_be_read_is_named(predict: Any, tiles: Any) -> None:
    dataset = tiles(100, 0)
    load = dataset.load_data

    def fail(index: int) -> torch.Tensor:
        if index == 37:
            raise OSError("could not be loaded")
        return load(index)

    dataset.load_data = fail
    message = r"image 37 \(tile 37.png\) of split 'train' cannot be read \(could not be loaded\)"
    with pytest.raises(InputError, match=message):
        predict({"train": dataset})


def test_an_embedding_that_is_no_number_is_named(predict: Any, tiles: Any) -> None:
    dataset = tiles(100, 0)
    dataset.images[70, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"image 70 \(tile 70.png\) of split 'train' has an emb"):
        predict({"train": dataset})


def test_fixed_batches_have_one_shape_and_keep_the_keys() -> None:
    shapes, written = [], {}

    def encode(batch: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(batch.shape))
        return 2 * batch

    def write(keys: Any, values: np.ndarray) -> None:
        written.update(zip(keys, values[:, 0].tolist(), strict=True))

    batches = FixedBatches[int](encode, 4, write)
    start = 0
    for size in (1, 2, 9, 4, 0, 3, 1):
        keys = list(range(start, start + size))
        batches.add(keys, torch.tensor(keys, dtype=torch.float32).reshape(-1, 1))
        start += size
    batches.flush()
    batches.flush()
    assert set(shapes) == {(4, 1)}
    assert len(shapes) == 5
    assert written == {key: 2.0 * key for key in range(20)}
