"""What makes two jobs the same work: settings, inputs and the versions of results."""

import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from clipit_eva.files import sha256_file
from clipit_eva.result_versions import RESULT_VERSIONS

_TRAINING = ("training", "predictions", "torch", "kaiko-eva")
_OF_TEXT = ("reports", "embeddings", "open_clip_torch")
_MADE_BY: Mapping[str, tuple[str, ...]] = {
    "cohort": ("cohort",),
    "embeddings": ("embeddings", "torch", "kaiko-eva", "timm"),
    "pairing": (*_OF_TEXT, "pairing", "torch", "kaiko-eva", "timm"),
    "replacement": ("replacement",),
    "unimodal": _TRAINING,
    "text_only": (*_TRAINING, *_OF_TEXT),
    "clip_it": (*_TRAINING, *_OF_TEXT, "timm", "peft"),
    "report": ("report", "clipit-eva"),
}
"""Stages that a job of each kind goes through (jobs that it depends on count by digest), and
distributions whose version can change what it computes. A report takes minutes: each release makes
it anew."""


def digest(**parts: Any) -> str:
    """Returns the SHA-256 hex digest of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def result_versions(kind: str) -> dict[str, int | str]:
    """Returns the versions that fix the result of a kind of job, by stage and by distribution.

    Of a library's version its build (`+cu130`) does not count, as the machine does not: a grid goes
    on elsewhere without training again. Source code does not count either, see `RESULT_VERSIONS`.
    """
    return {name: RESULT_VERSIONS.get(name) or _release(name) for name in _MADE_BY[kind]}


@functools.cache
def _release(distribution: str) -> str:
    return metadata.version(distribution).partition("+")[0]


@functools.cache
def fingerprint(path: Path) -> str | None:
    """Returns a digest of what a path holds, None if there is nothing.

    A file counts by its bytes; a folder by the names and sizes of its files, as images are many.
    """
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        return None
    total = hashlib.sha256()
    for name, size in sorted(_listed(path)):
        total.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def inputs(environment: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """Returns digests of the files that some variables name, or the values that name none."""
    values = {name: environment[name] for name in sorted(names & environment.keys())}
    return {name: fingerprint(Path(value)) or value for name, value in values.items()}


def _listed(path: Path) -> Iterator[tuple[str, int]]:
    """Yields names (below a folder) and sizes of all files, hidden ones and folders left out."""
    for folder, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (os.path.join(folder, name) for name in names if not name.startswith(".")):
            yield file[len(str(path)) + 1 :], os.stat(file).st_size


def _refuse(error: OSError) -> None:
    raise error
