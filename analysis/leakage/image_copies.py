"""Images that are on two sides of a split: the same picture, perhaps resized or encoded again."""

import concurrent.futures
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from eva.vision.data.datasets import vision
from numpy.typing import NDArray
from torch.nn import functional

from clipit_eva import files
from clipit_eva.eva import compat
from clipit_eva.pairing.retrieval import top_k
from clipit_eva.progress_bars import progress

from .split_images import SplitImages

SIDE = 8
"""Width and height of a fingerprint."""

CORRELATION = 0.99
"""Least correlation of two images' fingerprints at which their pixels are compared."""

DIFFERENCE = 6.0
"""Largest mean difference of two copies at 32 x 32 pixels, in levels of 256.

Of real tiles, other tissue differs by 7 or more even where fingerprints agree best, and a JPEG of
quality 60 or half the size by less than 2.
"""

FLAT = 3.0
"""Standard deviation of a fingerprint, in levels, below which an image is blank: blank images
resemble each other without being copies."""


Fingerprints = Callable[[vision.VisionDataset], NDArray[np.float32]]
"""What `fingerprints` is."""


def fingerprints(dataset: vision.VisionDataset) -> NDArray[np.float32]:
    """Returns a small grey picture of each image, a perceptual hash that is not cut to bits.

    Results are kept below the user's cache folder, by the dataset's files, their sizes and times.

    Returns:
        Mean grey levels [images, SIDE * SIDE].
    """
    path = _cache(dataset)
    if path is not None and path.is_file():
        return np.load(path)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        shrunk = pool.map(lambda index: _shrink(dataset, index, SIDE), range(len(dataset)))
        bar = progress(
            shrunk, desc="Looking for copies of images", total=len(dataset), unit="image"
        )
        found = np.stack([image.mean(axis=0).ravel() for image in bar])
    if path is not None:
        with files.atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, found)
    return found


def find_copies(
    first: SplitImages, second: SplitImages, read: Fingerprints = fingerprints
) -> list[tuple[int, int]]:
    """Returns images of one side that are on another side as well.

    Turned and mirrored copies are not found.

    Args:
        first: One side.
        second: The other side.
        read: Returns a dataset's fingerprints; who compares several sides need read each once.

    Returns:
        Places in the first's and the second's dataset, one pair an image of the smaller side.
    """
    if len(first.indices) > len(second.indices):
        return [(one, other) for other, one in find_copies(second, first, read)]
    rows, queries = _unit_rows(first, read)
    places, bank = _unit_rows(second, read)
    if not len(rows) or not len(places):
        return []
    nearest, cosines = top_k(queries, bank, 1)
    likely = np.flatnonzero(cosines[:, 0] >= CORRELATION)
    pairs = [(int(rows[i]), int(places[nearest[i, 0]])) for i in likely]
    return [(a, b) for a, b in pairs if _same(first.dataset, a, second.dataset, b)]


def _unit_rows(
    images: SplitImages, read: Fingerprints
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns the images that are not blank, and their fingerprints as unit vectors."""
    levels = read(images.dataset)[images.indices]
    kept = levels.std(axis=1) >= FLAT
    centred = levels[kept] - levels[kept].mean(axis=1, keepdims=True)
    return images.indices[kept], centred / np.linalg.norm(centred, axis=1, keepdims=True)


def _same(one: vision.VisionDataset, a: int, other: vision.VisionDataset, b: int) -> bool:
    return float(np.abs(_shrink(one, a, 32) - _shrink(other, b, 32)).mean()) <= DIFFERENCE


def _shrink(dataset: vision.VisionDataset, index: int, side: int) -> NDArray[np.float32]:
    """Returns an image as means over a grid, float32 [channels, side, side]."""
    image = torch.as_tensor(dataset.load_data(index)).float()
    return functional.adaptive_avg_pool2d(image, side).numpy()


def _cache(dataset: vision.VisionDataset) -> Path | None:
    """Returns where a dataset's fingerprints are kept; None if its files cannot be told."""
    paths = compat.sample_files(dataset)
    if paths is None:
        return None
    states = [(str(p.resolve()), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths]
    digest = hashlib.sha256(repr(states).encode()).hexdigest()[:16]
    return files.user_cache() / "fingerprints" / f"{digest}.npy"
