"""Thumbnails of samples, read from the data root that a run's provenance records."""

import base64
import glob
import io
import re
from pathlib import Path

from PIL import Image

from ..reading.runs import Run
from ..reading.slides import SPLIT_IN_FILE, data_roots, dataset_arguments

SIDE = 64
"""Width and height that a thumbnail fits into, in pixels."""

DEPTH = 3
"""Folders between the data root and those that filenames are relative to, at most."""

MISSES = 3
"""Files that are looked for in vain before the images count as being elsewhere."""

FOLDERS = {
    ("BACH", "train"): "ICIAR2018_BACH_Challenge/Photos",
    ("BACH", "val"): "ICIAR2018_BACH_Challenge/Photos",
    ("CRC", "train"): "NCT-CRC-HE-100K",
    ("CRC", "val"): "CRC-VAL-HE-7K",
}
"""Folder that filenames are relative to, by eva's dataset and split; others are searched for."""

_H5_NAME = re.compile(r"camelyonpatch_level_2_split_\w+_x_(\d+)")


class Thumbnails:
    """Finds a dataset's images by any run of it, and makes data URIs of them."""

    def __init__(self, run: Run) -> None:
        self._roots = data_roots(run)
        split = str(dataset_arguments(run).get("split"))
        self._h5 = f"*_split_{SPLIT_IN_FILE.get(split, split)}_x.h5"
        known = FOLDERS.get((run.dataset, split))
        folders = [root / known for root in self._roots] if known else []
        self._folder = next((folder for folder in folders if folder.is_dir()), None)
        self._misses = 0

    def uri(self, filename: str) -> str | None:
        """Returns a JPEG data URI of an image, or None if it is not found or not readable."""
        try:
            image = self._open(filename)
        except (OSError, KeyError, IndexError, ValueError):
            return None
        if image is None:
            return None
        small = image.convert("RGB")
        small.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

    def _open(self, filename: str) -> Image.Image | None:
        """Opens an image file below a root, or PatchCamelyon's row of an HDF5 file."""
        packed = _H5_NAME.fullmatch(filename)
        if packed:
            return self._from_h5(int(packed[1]))
        if ".." in Path(filename).parts or Path(filename).is_absolute():
            return None  # a table must not make the page show files outside the data
        path = self._find(filename)
        return None if path is None else Image.open(path)

    def _find(self, filename: str) -> Path | None:
        """Finds a file in the dataset's folder, which the first file that is found tells."""
        if self._folder is not None:
            path = self._folder / filename
            return path if path.is_file() else None
        if self._misses == MISSES:
            return None
        for root in self._roots:
            for depth in range(DEPTH + 1):
                found = list(root.glob("/".join(["*"] * depth + [glob.escape(filename)])))
                if len(found) == 1:  # of several, one cannot know which was meant
                    self._folder = Path(str(found[0])[: -len(filename)])
                    return found[0]
                if found:
                    return None
        self._misses += 1
        return None

    def _from_h5(self, row: int) -> Image.Image | None:
        """Reads one image of PatchCamelyon."""
        import h5py

        for root in self._roots:
            for path in sorted(root.glob(self._h5)):
                with h5py.File(path, "r") as file:
                    return Image.fromarray(file["x"][row])  # pyright: ignore
        return None
