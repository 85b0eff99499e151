"""A folder of images without labels, for prediction."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from eva.vision.data.datasets import vision
from torchvision.transforms.v2 import functional
from typing_extensions import override

from clipit_eva.data import image_files
from clipit_eva.data.batches import UNKNOWN_TARGET
from clipit_eva.errors import InputError


class ImageFolder(vision.VisionDataset):
    """All images below a folder, in the order of their paths, with unknown targets."""

    def __init__(
        self, root: str, classes: Sequence[str], transforms: Callable | None = None
    ) -> None:
        """Initializes the dataset; the folder is read in `configure`.

        Args:
            root: The folder; subfolders are read too.
            classes: Names of the classes that a model predicts, in its order.
            transforms: Transform of (image, target).
        """
        super().__init__(transforms=transforms)
        self._root = Path(root)
        self._classes = list(classes)
        self._filenames: list[str] = []

    @property
    @override
    def classes(self) -> list[str]:
        return self._classes

    @property
    @override
    def class_to_idx(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._classes)}

    @override
    def configure(self) -> None:
        if not self._root.is_dir():
            raise InputError(f"DATA_ROOT={self._root} is no folder; give a folder of images")
        paths = image_files.find_images(self._root)
        self._filenames = [path.relative_to(self._root).as_posix() for path in paths]
        if not paths:
            known = ", ".join(image_files.SUFFIXES)
            raise InputError(f"DATA_ROOT={self._root} holds no image; accepted are {known}")

    @override
    def __len__(self) -> int:
        return len(self._filenames)

    @override
    def filename(self, index: int) -> str:
        return self._filenames[index]

    @override
    def load_data(self, index: int) -> Any:
        return functional.to_image(image_files.read_image(self._root / self._filenames[index]))

    @override
    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(UNKNOWN_TARGET)
