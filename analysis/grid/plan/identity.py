"""What makes two jobs the same work: digests of settings, inputs and code."""

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from clipit_eva import __version__
from clipit_eva.files import sha256_file

_NO_PART_OF_A_RUN = ("analysis/", "benchmark_configs/", "cli.py", "demo/pipeline.py", "demo/train")
"""Starts of the names of modules that no training run uses."""


def digest(**parts: Any) -> str:
    """Returns the SHA-256 hex digest of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def code_version(of_analysis: bool = False) -> str:
    """Returns the package's version and a digest of the modules that a job uses.

    Args:
        of_analysis: Count the analysis; runs do not depend on it: a better table is no reason to
            train again.
    """
    root = Path(str(resources.files("clipit_eva")))
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(_NO_PART_OF_A_RUN):
            continue
        total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    if of_analysis:
        folder = Path(str(resources.files("clipit_eva.analysis")))
        for path in sorted(folder.rglob("*.*")):
            if path.suffix != ".pyc":
                total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return f"{__version__}+{total.hexdigest()[:12]}"


@functools.cache
def fingerprint(path: Path) -> str | None:
    """Returns a digest of what a path holds, None if there is nothing.

    A file counts by its bytes; a folder by the names and sizes of its files, since image datasets
    are too large to read for a look at a plan.
    """
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        return None
    total = hashlib.sha256()
    for name, size in sorted(_listed(str(path), len(str(path)) + 1)):
        total.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def inputs(environment: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    """Returns digests of the files that variables name, or the values that name none.

    Args:
        environment: Values by variable.
        names: The variables to look at.
    """
    values = {name: environment[name] for name in sorted(names & environment.keys())}
    return {name: fingerprint(Path(value)) or value for name, value in values.items()}


def _listed(folder: str, prefix: int) -> list[tuple[str, int]]:
    """Returns names (below the first folder) and sizes of all files, hidden ones left out."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                found += _listed(entry.path, prefix)
            else:
                found.append((entry.path[prefix:], entry.stat().st_size))
    return found
