"""Facts about how a file was made, for the provenance that it carries."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
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
    return _answer("git", "rev-parse", "HEAD").strip() or None


def hardware() -> dict[str, Any]:
    """Returns the machine's name, processor, cores and NVIDIA GPUs that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"machine": platform.node(), "processor": _processor(), "cores": cores, "gpus": _gpus()}


def seed() -> int | None:
    """Returns the global seed of this process, or None if it was not seeded."""
    value = os.environ.get("PL_GLOBAL_SEED")
    return None if value is None else int(value)


def class_path(instance: Any) -> str:
    """Returns the import path of an object's class."""
    return f"{type(instance).__module__}.{type(instance).__qualname__}"


def _answer(*command: str) -> str:
    """Returns what a command prints; nothing if it fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _gpus() -> list[str]:
    """Returns the names of the GPUs that nvidia-smi lists, those of CUDA_VISIBLE_DEVICES only."""
    query = ("nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader")
    rows = [line.split(", ", 2) for line in _answer(*query).splitlines()]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    allowed = None if visible is None else visible.split(",")
    return [row[2] for row in rows if allowed is None or row[0] in allowed or row[1] in allowed]
