"""What is known of a CLIP model without its weights."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clipit_eva.clip.recorded_clip import RecordedCLIP
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError


@pytest.fixture
def clip_copy(clip_folder: Path, tmp_path: Path) -> Path:
    """A copy of the small CLIP model."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for path in clip_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def _recorded(folder: Path, tmp_path: Path) -> RecordedCLIP:
    return RecordedCLIP((str(folder), None, None), tmp_path / "cache")


def test_identity_is_recorded(clip_copy: Path, tmp_path: Path) -> None:
    first = _recorded(clip_copy, tmp_path)
    clip = first.load()
    second = _recorded(clip_copy, tmp_path)
    assert second.identity == dict(clip.identity) == dict(first.identity)
    assert second.embed_dim == clip.embed_dim
    assert not second.loaded


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": {}}'])
def test_damaged_record_counts_as_none(clip_copy: Path, tmp_path: Path, text: str) -> None:
    expected = dict(_recorded(clip_copy, tmp_path).load().identity)
    (path,) = (tmp_path / "cache").glob("clip-*.json")
    path.write_text(text)
    again = _recorded(clip_copy, tmp_path)
    assert dict(again.identity) == expected
    assert again.loaded


def test_changed_file_is_loaded_again(clip_copy: Path, tmp_path: Path) -> None:
    _recorded(clip_copy, tmp_path).load()
    os.utime(clip_copy / "open_clip_model.safetensors", ns=(1, 1))
    again = _recorded(clip_copy, tmp_path)
    assert again.identity
    assert again.loaded


def test_embeddings_need_no_weights_once_they_are_there(
    source: ReportSource, clip_copy: Path, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"clip_model": str(clip_copy), "cache_dir": str(tmp_path / "new")}
    reports = str(tmp_path / "reports.csv")
    expected = np.array(ReportSource(reports, **arguments).embeddings())
    weights = clip_copy / "open_clip_model.safetensors"
    before = weights.stat()
    weights.write_bytes(bytes(before.st_size))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    np.testing.assert_array_equal(ReportSource(reports, **arguments).embeddings(), expected)
    for path in (tmp_path / "new").glob("reports-*"):
        path.unlink()
    with pytest.raises(InputError, match="damaged"):
        ReportSource(reports, **arguments).embeddings()


def test_record_of_other_weights_is_corrected(source: ReportSource, tmp_path: Path) -> None:
    """A hub's model that has changed since: what is loaded counts, not what was recorded."""
    expected = np.array(source.embeddings())
    cache = tmp_path / "cache"
    (record,) = cache.glob("clip-*.json")
    text = record.read_text()
    record.write_text(text.replace('"weights": "', '"weights": "0'))
    for path in cache.glob("reports-*"):
        path.unlink()
    np.testing.assert_array_equal(source.embeddings(), expected)
    assert record.read_text() == text
