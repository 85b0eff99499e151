"""Which slide or patient an image is of, and a share of a dataset that parts no group."""

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipit_eva.errors import InputError

if TYPE_CHECKING:  # whoever reads a report's groups need not wait for eva
    from eva.vision.data.datasets import vision

_NAMES = {
    "BreaKHis": re.compile(r"[^-]+-\d+-([^-]+)-"),  # the patient, as eva splits them
    "BRACS": re.compile(r"(BRACS_\d+)_"),  # the slide
    "GleasonArvaniti": re.compile(r"(.+)_patch_"),  # the core of a tissue microarray
    "UniToPatho": re.compile(r"(.+?)\.ndpi"),  # the slide: each is of another patient
}
"""What of a file's name tells the group, by the name of eva's class."""


def groups_of(
    dataset: "vision.VisionDataset", indices: Iterable[int] | None = None
) -> list[str] | None:
    """Returns the slide, patient or other group of images, which are not independent within it.

    A dataset tells by a method `group(index)`; of some of eva's, file names tell.

    Args:
        dataset: The dataset, without wrappers, set up.
        indices: The images; None for all.

    Returns:
        None if the group of any of them is unknown.
    """
    own, name = getattr(dataset, "group", None), _NAMES.get(type(dataset).__name__)
    if own is None and name is None:
        return None
    found: list[str] = []
    for index in range(len(dataset)) if indices is None else indices:
        if own is not None:
            group = own(index)
        else:
            match = name.match(PurePath(dataset.filename(index)).name)  # type: ignore[union-attr]
            group = None if match is None else match[1]
        if group is None:
            return None
        found.append(group)
    return found


def draw_share(
    targets: Sequence[int] | NDArray[Any], groups: Sequence[str] | None, share: float, seed: int
) -> NDArray[np.int64]:
    """Returns the places of about a share of samples, with no group on both sides, in order.

    Of scikit-learn's stratified folds it is the one with most classes, and of those the one whose
    classes are nearest to their share.

    Args:
        targets: Class of each sample [N].
        groups: Group of each; None where samples are independent.
        share: At most one half; `1 / share` folds are made, if there are as many groups.
        seed: Seed of the folds.

    Raises:
        InputError: All samples are of one group.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    classes, codes = np.unique(np.asarray(targets), return_inverse=True)
    counts = np.bincount(codes)
    number = max(2, min(round(1 / share), counts.max()))
    if groups is None:
        kind = StratifiedKFold
    else:
        kind, number = StratifiedGroupKFold, min(number, len(set(groups)))
    if number < 2:
        raise InputError(f"all images are of group {next(iter(groups or ()))}; to hold out needs 2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rare classes: the choice allows for them
        folds = list(kind(number, shuffle=True, random_state=seed).split(codes, codes, groups))

    def unevenness(fold: NDArray[np.int64]) -> tuple[int, float]:
        held = np.bincount(codes[fold], minlength=len(classes))
        return int((held == 0).sum()), float(np.abs(held / counts - share).max())

    return np.sort(min((fold for _, fold in folds), key=unevenness))
