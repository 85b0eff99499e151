"""Learning curves, read from the TensorBoard event files in the runs' folders."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..reading.study import Comparison

EVENTS = "events.out.tfevents.*"
"""Event files as TensorBoard names them."""

LOSS = "val/AverageLoss"
SCORES = ("val/BinaryBalancedAccuracy", "val/MulticlassAccuracy")
"""eva's tags of the validation loss, and of balanced accuracy in binary and multiclass tasks."""

COLUMNS = ["dataset", "backbone", "arm", "label", "replicate", "quantity", "step", "value"]


def learning_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns validation loss and balanced accuracy by training step, one row a value.

    `quantity` is `loss` or `balanced accuracy`; runs without event files are not in it.
    """
    rows, seen = [], set()
    for comparison in comparisons:
        for arm in comparison.runs:
            for replicate, run in comparison.named_runs(arm):
                if run.path in seen:
                    continue
                seen.add(run.path)
                where = [comparison.dataset, comparison.backbone, arm.name, arm.label, replicate]
                for quantity, points in _curves(run.path.parent).items():
                    rows.extend([*where, quantity, step, value] for step, value in points)
    return pd.DataFrame(rows, columns=COLUMNS)


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the curves in a run's folder, by quantity.

    eva validates the chosen checkpoint once more after training, into another file: of each tag
    the file with most values is the training's.
    """
    longest: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob(EVENTS)):
        for tag, points in _scalars(path).items():
            quantity = "loss" if tag == LOSS else "balanced accuracy"
            if len(points) > len(longest.get(quantity, [])):
                longest[quantity] = points
    return longest


def _scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Returns the scalars of an event file that are drawn; what is cut off at its end is left."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.tag in (LOSS, *SCORES):
                numbers = value.tensor.float_val
                if numbers:
                    found.setdefault(value.tag, []).append((event.step, float(numbers[0])))
    return found
