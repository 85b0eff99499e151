"""One's own labelled images: class folders, or files that an index names."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from typing_extensions import override

from clipit_eva.data import image_index
from clipit_eva.data.image_folder import ImageFolder
from clipit_eva.errors import InputError


class LabelledImages(ImageFolder):
    """Images with labels in a folder of one's own, in the order of their names.

    Without an index the folder has one folder a class (and any below). Without splits in the index
    they are drawn, see `image_index.with_splits`: stratified, and no group on two sides.
    """

    def __init__(
        self,
        root: str,
        split: str,
        classes: Sequence[str],
        *,
        index: str | None = None,
        split_seed: int = 0,
        title: str | None = None,
        one_logit: bool = False,
        transforms: Callable | None = None,
    ) -> None:
        """Initializes the dataset; files are read in `configure`.

        Args:
            root: The folder that filenames are relative to.
            split: `train`, `val` or `test`.
            classes: All labels, in the order of the classes.
            index: CSV or parquet file, see `image_index.read_index`; a relative path starts at
                `root`.
            split_seed: Seed of the draw of splits; apart from the run's seed, so that all runs
                share them.
            title: What the dataset is called in reports.
            one_logit: Whether targets are float32, for one logit of the second of two classes.
            transforms: Transform of (image, target).
        """
        super().__init__(root, classes, transforms)
        self.title = title
        # What else makes the same images, for tables that name them.
        self.arguments = {"classes": list(classes), "index": index, "split_seed": split_seed}
        self._split = split
        self._index = None if index is None else self._root / index
        self._seed = split_seed
        self._dtype = torch.float32 if one_logit else torch.long
        self._groups: list[str] | None = None
        self.targets = np.empty(0, dtype=np.int64)

    @override
    def configure(self) -> None:
        if self._filenames:
            return  # each stage of each run asks
        if self._index is None:
            source, table = f"DATA_ROOT={self._root}", image_index.read_folders(self._root)
        else:
            source, table = f"index {self._index}", image_index.read_index(self._index, self._root)
        self._check_labels(set(table["label"]), source)
        table = image_index.with_splits(table, self._seed, source)
        own = table[table["split"] == self._split]
        if not len(own):
            raise InputError(
                f"{source} has no split {self._split!r}; it has "
                f"{', '.join(sorted(table['split'].unique()))}: name those in the card's `splits`"
            )
        self._filenames = own["filename"].tolist()
        self._groups = own["group"].tolist() if "group" in own else None
        number = self.class_to_idx
        self.targets = np.array([number[label] for label in own["label"]])

    def group(self, index: int) -> str | None:
        """Returns the slide, patient or other group of an image; None if the index has none."""
        return None if self._groups is None else self._groups[index]

    @override
    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(self.targets[index], dtype=self._dtype)

    def _check_labels(self, labels: set[str], source: str) -> None:
        """Raises InputError unless the labels are the classes."""
        if other := sorted(labels - set(self._classes)):
            raise InputError(
                f"{source}: label {other[0]!r} is none of the card's classes "
                f"({', '.join(self._classes)}); add it there, or leave its images out"
            )
        for name in self._classes:
            if name not in labels and self._index is None:
                raise InputError(
                    f"class folder {self._root / name} holds no image; add some, or take the class "
                    "out of the card"
                )
            if name not in labels:
                raise InputError(
                    f"{source}: no image has the label {name!r} of the card; mend one of them"
                )
