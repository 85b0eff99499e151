"""The environment variables that shipped configs read, and which of them fix a result."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clipit_eva.tasks import configs

OF_THE_GRID = frozenset(
    {
        "OUTPUT_ROOT", "PAIRING_TABLE", "EMBEDDINGS_ROOT", "VISION_HEAD_CHECKPOINT", "CHECKPOINT",
        "N_RUNS", "EVA_GLOBAL_SEED",
    }
)  # fmt: skip
"""Set by the grid itself: it tells the jobs' folders and seeds apart."""

OF_THE_PROCESS = frozenset(
    {"HF_HOME", "HF_HUB_OFFLINE", "TORCH_HOME", "OMP_NUM_THREADS", "LOGURU_LEVEL"}
)
"""Read by processes rather than by configs; a plan may set them for all jobs."""

FILES = frozenset(
    {"DATA_ROOT", "REPORTS", "CLIP_MODEL", "CLIP_CHECKPOINT", "CLIP_TOKENIZER", "REPORT_PATIENTS"}
)
"""Name files or folders (some of them only if there is one of that name): their content counts."""

WITHOUT_EFFECT = frozenset(
    {
        "ACCELERATOR", "NUM_DEVICES", "N_DATA_WORKERS", "PERSISTENT_WORKERS", "PREFETCH_FACTOR",
        "TQDM_REFRESH_RATE", "DOWNLOAD_DATA", "SAVE_LAST",
    }
)  # fmt: skip
"""Where and how fast a job runs; they fix no result."""

OF_TRAINING = frozenset({"BATCH_SIZE"})
"""Of no effect where nothing is trained: embeddings do not depend on batches."""


@functools.cache
def text_digest(config: Path) -> str:
    """Returns the SHA-256 hex digest of a config's settings: comments do not count."""
    lines = [line for line in config.read_text().splitlines() if not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def effective(config: Path, environment: Mapping[str, str], trains: bool) -> dict[str, Any]:
    """Returns what fixes a config's result: its variables' values, defaults filled in.

    Those of the grid, those without an effect on results, and files (which count by content) are
    left out. `8`, `8.0` and an unset variable with that default are one.
    """
    skipped = OF_THE_GRID | WITHOUT_EFFECT | FILES | (frozenset() if trains else OF_TRAINING)
    return {
        name: _canonical(environment.get(name, default))
        for name, default in configs.variables(config).items()
        if name not in skipped
    }


def as_text(value: Any) -> str:
    """Returns a plan's value as the text of an environment variable, in YAML."""
    if isinstance(value, str):
        return value
    if type(value) is int:  # as most are: the dumper takes its time
        return str(value)
    flow = yaml.safe_dump(value, default_flow_style=True, width=10**6)
    return flow.removesuffix("\n").removesuffix("\n...")


def equal(one: str, other: str) -> bool:
    """Whether two texts of a variable mean the same value."""
    return _canonical(one) == _canonical(other)


@functools.cache
def _canonical(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return _merged(value)


def _merged(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_merged(item) for item in value]
    return value if isinstance(value, str | int | float | bool | dict | None) else str(value)
