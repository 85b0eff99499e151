"""The embeddings and targets of one split by one backbone, as files."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision

from clipit_eva import files
from clipit_eva.embeddings.embedded_backbone import EmbeddedBackbone
from clipit_eva.embeddings.images import image_facts
from clipit_eva.embeddings.row_store import RowStore
from clipit_eva.errors import InputError
from clipit_eva.tasks import configs

KIND = "vision"
"""What the files' names begin with."""

_PROBES = 8
"""Targets that are compared with the dataset's before training, where it has no `targets`."""

_WORDS = {
    "model_name": "MODEL_NAME",
    "model_extra_kwargs": "MODEL_EXTRA_KWARGS",
    "weights": "weights of the backbone",
    "root": "DATA_ROOT",
    "length": "number of images",
    "filenames": "file names",
    "content": "transform (RESIZE_DIM, NORMALIZE_MEAN, NORMALIZE_STD) or images",
    "files": "content of the image files",
}
"""What the facts are called in messages."""


def complete(rows: RowStore, targets: np.ndarray) -> None:
    """Writes the targets, one an image, beside complete embeddings, and both checksums, last."""
    with files.atomic_path(_targets_file(rows)) as path, path.open("wb") as file:
        np.save(file, targets)
    both = (rows.file, _targets_file(rows))
    lines = [f"{files.sha256_file(path)}  {path.name}\n" for path in both]
    with files.atomic_path(_checksums_file(rows)) as path:
        path.write_text("".join(lines), encoding="utf-8")


def is_complete(rows: RowStore) -> bool:
    """Says whether embeddings, targets and checksums are there."""
    return all(path.is_file() for path in (rows.file, _targets_file(rows), _checksums_file(rows)))


def read(
    backbone: EmbeddedBackbone, dataset: vision.VisionDataset, split: str
) -> tuple[np.ndarray, torch.Tensor]:
    """Returns the embeddings and targets of a dataset's images, in its order.

    Args:
        backbone: The backbone that made the embeddings.
        dataset: The dataset, set up, with the transform that the backbone saw.
        split: The split's name.

    Returns:
        Embeddings [N, d], float32, as a read-only memory map; targets [N], of the dataset's type.

    Raises:
        InputError: There are no such embeddings (says which there are), or they are damaged, or
            the dataset has other labels by now.
    """
    record = backbone.record() or {"weights": None, "width": 1}
    facts = {
        **image_facts(dataset, split, backbone.root),
        **backbone.identity,
        "weights": record["weights"],
    }
    rows = RowStore(backbone.root, KIND, facts, len(dataset), record["width"])
    if not is_complete(rows):
        raise InputError(_missing(backbone.root, facts))
    for path in (rows.file, _targets_file(rows)):
        _check(path, _checksums_file(rows))
    targets = torch.from_numpy(np.load(_targets_file(rows)))
    # An index of labels may be mended at any place; those that it gave cost no opening of files.
    probes = len(targets) if hasattr(dataset, "targets") else _PROBES
    for index in np.unique(np.linspace(0, len(targets) - 1, probes).astype(int)).tolist():
        if not torch.equal(torch.as_tensor(dataset.load_target(index)), targets[index]):
            raise InputError(
                f"{_targets_file(rows)} has another label of {dataset.filename(index)} than the "
                f"dataset; delete it and run `{_command(facts)}` again"
            )
    return rows.read(), targets


def _check(path: Path, checksums: Path) -> None:
    """Raises InputError if a file is not the one that was written."""
    lines = checksums.read_text(encoding="utf-8").splitlines()
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    state = path.stat()
    if _digest(path, state.st_size, state.st_mtime_ns) != expected.get(path.name):
        raise InputError(
            f"embeddings {path} are damaged (another checksum than in {checksums.name}); delete "
            "both and run the embeddings config again"
        )


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    """Returns a file's SHA-256, once a process while the file stays the same."""
    return files.sha256_file(path)


def _missing(folder: Path, facts: Mapping[str, Any]) -> str:
    """Says that embeddings are missing, and how the nearest ones there differ."""
    dataset = facts["dataset"].rpartition(".")[2]
    text = (
        f"EMBEDDINGS_ROOT={folder} has no embeddings of split {facts['split']!r} of {dataset} by "
        f"MODEL_NAME={facts['model_name']}"
    )
    differences = []
    for path in folder.glob(f"{KIND}-*.json"):
        try:
            other = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # interrupted while it was written
            continue
        if (other["dataset"], other["split"]) == (facts["dataset"], facts["split"]):
            keys = [key for key in _WORDS if other.get(key) != facts[key]]
            differences.append([_difference(key, other[key], facts[key]) for key in keys])
    if differences:
        nearest = min(differences, key=len)
        what = f"of another {', '.join(nearest)}" if nearest else "not finished"
        text += f" (there are some, {what})"
    return f"{text}; run `{_command(facts)}` with the same variables first"


def _difference(key: str, found: Any, expected: Any) -> str:
    """Names a fact that differs, with both values where they are short."""
    if key in ("weights", "filenames", "content", "files"):
        return _WORDS[key]
    return f"{_WORDS[key]}: {found}, not {expected}"


def _command(facts: Mapping[str, Any]) -> str:
    """Returns the command that makes embeddings of a dataset."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", facts["dataset"].rpartition(".")[2])
    name = "embeddings/" + "_".join(words).lower()
    if name not in configs.names():
        name = "embeddings/TASK"
    return f'eva predict --config "$(clipit-eva configs {name})"'


def _targets_file(rows: RowStore) -> Path:
    """Returns the file of the targets."""
    return rows.file.with_suffix(".targets.npy")


def _checksums_file(rows: RowStore) -> Path:
    """Returns the file of the checksums, in the form that `sha256sum --check` reads."""
    return rows.file.with_suffix(".sha256")
