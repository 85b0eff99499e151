"""Every test sample with each arm's vote: what an analysis of failures starts from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from clipit_eva.files import atomic_path

from ..metrics.scores import votes
from ..reading.study import Comparison
from .panels import slug

FOLDER = "errors"


def write_errors(comparison: Comparison, output: Path) -> Path:
    """Writes `errors/<dataset>_<backbone>.csv`, one row a test sample, and returns its path.

    Columns: `index` (in the eva dataset), `filename`, `target`, and of each arm, by its name, the
    class that most of its seeds predict (ties: the lower class), `<arm>_right` (seeds that are
    right) and `<arm>_seeds`.
    """
    samples, names = comparison.samples, pa.array(comparison.samples.classes)
    columns: dict[str, pa.Array] = {
        "index": pa.array(samples.index),
        "filename": samples.filenames,
        "target": names.take(pa.array(samples.targets)),
    }
    for arm in comparison.runs:
        predictions = comparison.predictions(arm.name)
        columns[arm.name] = names.take(pa.array(votes(predictions, len(names))))
        columns[f"{arm.name}_right"] = pa.array((predictions == samples.targets).sum(axis=0))
        columns[f"{arm.name}_seeds"] = pa.array(np.full(len(samples), len(predictions)))
    path = output / FOLDER / f"{slug(f'{comparison.dataset}_{comparison.backbone}')}.csv"
    with atomic_path(path) as temporary:
        csv.write_csv(pa.table(columns), temporary)
    return path
