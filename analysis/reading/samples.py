"""The samples of a test set: what two runs must share to be compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipit_eva.errors import InputError


@dataclass(frozen=True, eq=False)
class Samples:
    """Index, filename and true class of each sample, ordered by index.

    Attributes:
        path: The predictions table that they were first read from.
        index: Index in the eva dataset, int64 [samples], increasing.
        filenames: Filename of each sample, in arrow's compact form.
        targets: True class, int16 [samples].
        classes: Names of the classes; their numbers where the table names none.
        groups: Slide, patient or other group of each sample; None if the table tells none.
    """

    path: Path
    index: NDArray[np.int64]
    filenames: pa.Array
    targets: NDArray[np.int16]
    classes: tuple[str, ...]
    groups: pa.ChunkedArray | None = None

    @classmethod
    def make(
        cls,
        path: Path,
        index: NDArray[np.int64],
        filenames: pa.ChunkedArray,
        targets: NDArray[np.int64],
        classes: Sequence[str] | None,
        *,
        groups: pa.ChunkedArray | None = None,
    ) -> "Samples":
        """Makes a test set of a table's columns; its index must not decrease.

        Raises:
            InputError: A sample is there twice.
        """
        twice = np.flatnonzero(np.diff(index) == 0)
        if len(twice):
            raise InputError(
                f"predictions table {path} predicts sample {index[twice[0]]} twice; test it again"
            )
        names = pa.concat_arrays(filenames.cast(pa.string()).fill_null("").chunks)
        count = int(targets.max()) + 1
        labels = [str(name) for name in classes or range(count)]
        return cls(path, index, names, targets.astype(np.int16), tuple(labels), groups)

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over indices, filenames and targets."""
        state = hashlib.sha256(self.index.tobytes())
        state.update(self.targets.tobytes())
        # Buffers, not Python strings: 32,768 names of hundreds of runs are compared.
        _, offsets, data = self.filenames.buffers()
        start = self.filenames.offset
        ends = np.frombuffer(offsets, dtype=np.int32)[start : start + len(self) + 1]
        state.update((ends - ends[0]).tobytes())
        state.update(memoryview(data)[ends[0] : ends[-1]])
        return state.hexdigest()

    def names(self, positions: NDArray[np.int64]) -> list[str]:
        """Returns the filenames at some positions."""
        return self.filenames.take(pa.array(positions)).to_pylist()


def check_same(reference: Samples, other: Samples, path: Path) -> None:
    """Checks that a run, of some table, was tested on the reference's samples and targets.

    Raises:
        InputError: They differ; names both tables and the first difference.
    """
    if reference.digest == other.digest:
        return
    both = f"{path} and {reference.path}"
    if len(other) != len(reference):
        raise InputError(
            f"{both} were tested on different test sets ({len(other)} and {len(reference)} "
            "samples); report them apart"
        )
    different = other.index != reference.index
    if not different.any():
        names = zip(other.filenames.to_pylist(), reference.filenames.to_pylist(), strict=True)
        different = np.fromiter((one != two for one, two in names), dtype=bool)
    if different.any():
        place = int(different.argmax())
        raise InputError(
            f"{both} were tested on different test sets (sample {other.index[place]} is "
            f"{other.filenames[place].as_py()} and {reference.index[place]} "
            f"{reference.filenames[place].as_py()}); report them apart"
        )
    place = int((other.targets != reference.targets).argmax())
    raise InputError(
        f"{both} disagree on the target of sample {other.index[place]} "
        f"({other.targets[place]} and {reference.targets[place]}); they were made for other targets"
    )
