"""Digests of inputs: by content where it is small, by names and sizes where it is not."""

import os
from pathlib import Path

from clipit_eva.analysis.grid.plan import identity
from clipit_eva.files import sha256_file


def _fingerprint(path: Path) -> str | None:
    identity.fingerprint.cache_clear()  # one call of the command looks once
    return identity.fingerprint(path)


def test_a_file_counts_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert _fingerprint(path) == sha256_file(path)


def test_a_folder_counts_by_names_and_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "Normal").mkdir(parents=True)
    image = folder / "Normal" / "n1.tif"
    image.write_bytes(b"one")
    first = _fingerprint(folder)
    os.utime(image, (0, 0))
    (folder / ".DS_Store").write_bytes(b"hidden")
    assert _fingerprint(folder) == first
    image.write_bytes(b"more")
    larger = _fingerprint(folder)
    image.rename(image.with_name("n2.tif"))
    assert len({first, larger, _fingerprint(folder)}) == 3
    folder.rename(tmp_path / "moved")
    assert _fingerprint(tmp_path / "moved") != first


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    assert _fingerprint(tmp_path / "none") is None


def test_values_that_name_no_file_count_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    environment = {"REPORTS": str(tmp_path / "a"), "CLIP_MODEL": "conch", "OTHER": "x"}
    found = identity.inputs(environment, frozenset({"REPORTS", "CLIP_MODEL", "DATA_ROOT"}))
    assert found == {"REPORTS": sha256_file(tmp_path / "a"), "CLIP_MODEL": "conch"}


def test_the_analysis_is_no_part_of_a_runs_code() -> None:
    assert identity.code_version() != identity.code_version(of_analysis=True)
