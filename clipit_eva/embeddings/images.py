"""The images whose embeddings are not on disk yet, and what identifies a dataset's embeddings."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from eva.vision.data.datasets import vision
from torch.utils import data
from typing_extensions import override

from clipit_eva import provenance
from clipit_eva.embeddings.image_content import content_digest
from clipit_eva.errors import InputError
from clipit_eva.eva import compat

_PROBES = 8
"""Images whose content is part of a dataset's identity."""


class PendingImages(data.Dataset):
    """Some images of several datasets, each with the place where its embedding belongs.

    A sample is (image, [dataset, index]); labels do not come with it.
    """

    def __init__(
        self,
        datasets: Sequence[vision.VisionDataset],
        splits: Sequence[str],
        missing: Sequence[Any],
    ) -> None:
        """Initializes the dataset.

        Args:
            datasets: The datasets, set up.
            splits: Their splits' names, for messages.
            missing: For each dataset the indices of its images, int64.
        """
        self.datasets = list(datasets)
        self._splits = list(splits)
        places = [np.stack([np.full_like(m, n), m], axis=1) for n, m in enumerate(missing)]
        self._places = np.concatenate([np.empty((0, 2), dtype=np.int64), *places])

    def __len__(self) -> int:
        return len(self._places)

    @override
    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        position, row = self._places[index].tolist()
        image = read_image(self.datasets[position], row, self._splits[position])
        return image, torch.tensor([position, row])

    def teardown(self) -> None:
        """Tears the datasets down, as eva's data module does with each of its own."""
        for dataset in self.datasets:
            dataset.teardown()


def read_image(dataset: vision.VisionDataset, index: int, split: str) -> torch.Tensor:
    """Returns an image as the dataset's transform gives it.

    Raises:
        InputError: It cannot be read; names the file and the index.
    """
    try:
        return dataset[index][0]
    except InputError:
        raise
    except Exception as error:  # whatever a decoder brings
        raise InputError(
            f"image {index} ({dataset.filename(index)}) of split {split!r} cannot be read "
            f"({error}); replace the file"
        ) from error


def image_facts(dataset: vision.VisionDataset, split: str, folder: Path) -> dict[str, Any]:
    """Returns what tells the images of a dataset, set up, from others, JSON-serialisable.

    Its class, split, folder, length and file names, what is in its files, and what its transform
    makes of a few images: so that images or transforms that were changed in place are noticed.
    """
    names = hashlib.sha256()
    for index in range(len(dataset)):
        names.update(dataset.filename(index).encode() + b"\0")
    content = hashlib.sha256()
    for index in np.unique(np.linspace(0, len(dataset) - 1, _PROBES).astype(int)).tolist():
        image = read_image(dataset, index, split)
        content.update(repr((tuple(image.shape), str(image.dtype))).encode())
        content.update(image.contiguous().numpy().tobytes())
    root = compat.dataset_root(dataset)
    return {
        "dataset": provenance.class_path(dataset),
        "split": split,
        "root": None if root is None else str(root.resolve()),
        "length": len(dataset),
        "filenames": names.hexdigest(),
        "content": content.hexdigest(),
        "files": content_digest(dataset, folder),
    }
