"""All checks for leakage, for the comparisons of one dataset."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from clipit_eva.errors import InputError

from ..reading.runs import Run
from ..reading.slides import data_roots
from ..reading.study import Comparison
from .finding import ROLES, Finding
from .patients import (
    one_report_for_many,
    pairs_of_runs,
    reports_of_test_patients,
    slides_on_both_sides,
)
from .settings_checks import different_data, different_weights, selection_on_test, texts_alike

if TYPE_CHECKING:
    from .split_images import SplitImages

TABLES = {".csv", ".tsv", ".parquet", ".json", ".txt"}
"""How names of files end that hold no images."""


def findings(comparisons: Sequence[Comparison]) -> Iterator[Finding]:
    """Yields what each check found.

    Args:
        comparisons: The comparisons of one dataset, at least one.
    """
    runs = [run for one in comparisons for run in one.all_runs]
    pairs = pairs_of_runs(runs)
    images = _images(runs[0])
    yield from _copies(images)
    yield slides_on_both_sides(runs[0], None if isinstance(images, str) else images)
    yield reports_of_test_patients(runs[0], pairs)
    yield selection_on_test(runs)
    yield different_data(comparisons)
    yield different_weights(comparisons)
    yield one_report_for_many(pairs)
    yield texts_alike(comparisons)


def _images(run: Run) -> "Mapping[str, SplitImages] | str":
    """Returns the images of each role, or why they cannot be told."""
    root = next(iter(data_roots(run)), None)
    if root is None or not _holds_images(root):
        return "the images are not where the run found them"
    # Here: without images a report needs nothing of eva, whose import takes seconds.
    from .split_images import split_images

    try:
        return split_images(run, root)
    except InputError as error:
        return str(error)


def _copies(images: "Mapping[str, SplitImages] | str") -> Iterator[Finding]:
    """Yields whether two roles share images."""
    if isinstance(images, str):
        yield Finding("the same image in two splits", "not known", images)
        return
    from .image_copies import find_copies, fingerprints

    read = functools.cache(fingerprints)  # roles may share a dataset
    for first, second in combinations(ROLES, 2):
        check = f"the same image in {ROLES[first]} and {ROLES[second]}"
        try:
            copies = find_copies(images[first], images[second], read)
        except Exception as error:  # whatever a decoder says of a damaged file
            yield Finding(check, "not known", f"an image cannot be read ({error})")
            continue
        if not copies:
            n = [len(images[role].indices) for role in (first, second)]
            yield Finding(check, "no", f"{n[0]} and {n[1]} images compared")
            continue
        one, other = copies[0]
        names = images[first].dataset.filename(one), images[second].dataset.filename(other)
        words = f"{len(copies)} images, such as {names[0]} and {names[1]}"
        yield Finding(check, "yes", words)


def _holds_images(root: Path) -> bool:
    """Whether there is more in a folder than tables, which alone can have been copied there."""
    return any(path.is_file() and path.suffix not in TABLES for path in root.rglob("*"))
