"""What a job is known by: versions of results and libraries, content of inputs."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest

from clipit_eva import provenance
from clipit_eva.analysis.grid.plan import identity
from clipit_eva.files import sha256_file
from clipit_eva.result_versions import RESULT_VERSIONS


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


KINDS = (
    "cohort",
    "embeddings",
    "pairing",
    "replacement",
    "unimodal",
    "text_only",
    "clip_it",
    "report",
)


Invalidated = Callable[[Callable[[], None]], set[str]]


@pytest.fixture
def invalidated() -> Iterator[Invalidated]:
    """Returns a function that makes a change and tells the kinds of jobs that it invalidates."""

    def run(change: Callable[[], None]) -> set[str]:
        before = {kind: identity.result_versions(kind) for kind in KINDS}
        change()
        identity._release.cache_clear()  # one process looks once
        return {kind for kind in KINDS if identity.result_versions(kind) != before[kind]}

    yield run
    identity._release.cache_clear()


@pytest.mark.parametrize(
    ("stage", "kinds"),
    [
        ("cohort", {"cohort"}),
        ("reports", {"pairing", "text_only", "clip_it"}),
        ("embeddings", {"embeddings", "pairing", "text_only", "clip_it"}),
        ("pairing", {"pairing"}),
        ("replacement", {"replacement"}),
        ("training", {"unimodal", "text_only", "clip_it"}),
        ("predictions", {"unimodal", "text_only", "clip_it"}),
        ("report", {"report"}),
    ],
)
def test_a_raised_version_invalidates_the_jobs_of_its_stage(
    invalidated: Invalidated, monkeypatch: pytest.MonkeyPatch, stage: str, kinds: set[str]
) -> None:
    raised = RESULT_VERSIONS[stage] + 1
    change = partial(monkeypatch.setitem, RESULT_VERSIONS, stage, raised)
    assert invalidated(change) == kinds


@pytest.mark.parametrize(
    ("library", "kinds"),
    [
        ("torch", {"embeddings", "pairing", "unimodal", "text_only", "clip_it"}),
        ("kaiko-eva", {"embeddings", "pairing", "unimodal", "text_only", "clip_it"}),
        ("timm", {"embeddings", "pairing", "clip_it"}),
        ("open_clip_torch", {"pairing", "text_only", "clip_it"}),
        ("peft", {"clip_it"}),
        ("clipit-eva", {"report"}),
        ("pandas", set()),
    ],
)
def test_another_library_invalidates_the_jobs_that_use_it(
    invalidated: Invalidated, monkeypatch: pytest.MonkeyPatch, library: str, kinds: set[str]
) -> None:
    installed = metadata.version

    def other(name: str) -> str:
        return "99.0" if name == library else installed(name)

    change = partial(monkeypatch.setattr, metadata, "version", other)
    assert invalidated(change) == kinds


def test_another_build_of_a_library_invalidates_nothing(
    invalidated: Invalidated, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = {name: metadata.version(name).partition("+")[0] for name in provenance.PACKAGES}
    change = partial(monkeypatch.setattr, metadata, "version", lambda name: f"{public[name]}+cu999")
    assert invalidated(change) == set()


def test_every_stage_is_some_jobs() -> None:
    """A version that no job counts would be raised in vain."""
    counted = {name for kind in KINDS for name in identity.result_versions(kind)}
    assert counted >= RESULT_VERSIONS.keys()
