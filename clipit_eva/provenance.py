"""Facts about how a file was made, for the provenance that it carries."""

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

PACKAGES = (
    "clipit-eva",
    "kaiko-eva",
    "torch",
    "lightning",
    "peft",
    "open_clip_torch",
    "timm",
    "numpy",
    "pandas",
)
"""Packages whose version can change a result."""


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version(), **{p: metadata.version(p) for p in PACKAGES}}


def git_revision() -> str | None:
    """Returns the git commit of the working directory, or None outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def seed() -> int | None:
    """Returns the global seed of this process, or None if it was not seeded."""
    value = os.environ.get("PL_GLOBAL_SEED")
    return None if value is None else int(value)


def class_path(instance: Any) -> str:
    """Returns the import path of an object's class."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"
