"""Whether an exported file says what the trained module says."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import torch

from clipit_eva.data.wrapper import eva_index
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.export.construction import build
from clipit_eva.export.run import FinishedRun
from clipit_eva.predictions import predictions_table

TOLERANCE = 1e-4
"""Largest difference of logits; relative to the largest logit where that is above 1."""

IMAGES = 8
"""Images of each kind that are compared."""

TABLE_TOLERANCE = 0.02
"""Largest difference of probabilities from the run's table, which may be of bfloat16 and a GPU."""


def random_images(size: tuple[int, int]) -> torch.Tensor:
    """Returns standard normal images [8, 3, H, W], float32, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(IMAGES, 3, *size, generator=generator)


def real_images(run: FinishedRun) -> tuple[torch.Tensor, list[int]] | None:
    """Returns images [n, 3, H, W] spread over a run's test split, as the model saw them.

    With them come their indices in the eva dataset; None if the data is not where the run had it.

    Raises:
        InputError: The data is there, but cannot be read.
    """
    description = run.datasets.get("test")
    root = RecordedConfig(description).innermost.get("root")
    if root is None or not os.path.isdir(root):
        return None
    try:
        dataset = build(description)
        dataset.configure()
        positions = range(0, len(dataset), max(1, len(dataset) // IMAGES))[:IMAGES]
        images = torch.stack([dataset[position][0] for position in positions])
    except Exception as error:  # a dataset may fail in any way
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise InputError(
            f"the run's test images in {root} cannot be read ({reason}); restore them, or give "
            "--no-check"
        ) from error
    return images, [eva_index(dataset, position) for position in positions]


def check_run(run: FinishedRun, branch: str, indices: Sequence[int], logits: torch.Tensor) -> None:
    """Raises InputError unless a run's model says what the run's own predictions table says.

    A linear probe's checkpoint does not tell which weights its frozen backbone had. Compared are
    the logits [n, C] of a branch, of test images at some indices in the eva dataset [n].
    """
    rows, _ = predictions_table.read_predictions(run.folder / predictions_table.FILENAME)
    rows = rows[(rows["split"] == "test") & (rows["branch"] == branch)].set_index("index")
    found = predictions_table.probabilities(logits.squeeze(-1))
    names = [f"prob_{position}" for position in range(found.shape[1])]
    # An index that the table lacks becomes NaN, which fails too.
    difference = float(np.abs(rows.reindex(list(indices))[names].to_numpy() - found).max())
    if not difference <= TABLE_TOLERANCE:
        raise InputError(
            f"the backbone or the images at hand are not those of {run.folder}: its probabilities "
            f"differ by {difference:.2f} from its own table; restore them, or give --no-check"
        )


def compare(
    classify: Callable[[torch.Tensor], torch.Tensor],
    batches: Sequence[torch.Tensor],
    expected: Sequence[torch.Tensor],
) -> float:
    """Returns the largest difference of an exported model's logits from the expected.

    It is called on each batch [B, 3, H, W] -> [B, C] and on its first image alone, because the
    batch's size is free.

    Raises:
        InputError: The difference is above `TOLERANCE`.
    """
    worst = 0.0
    with torch.inference_mode():
        for images, logits in zip(batches, expected, strict=True):
            found = torch.cat([classify(images), classify(images[:1])])
            wanted = torch.cat([logits, logits[:1]])
            if found.shape != wanted.shape:
                raise InputError(f"the exported model gives {found.shape}, not {wanted.shape}")
            difference = (found - wanted).abs().max() / max(1.0, float(wanted.abs().max()))
            worst = max(worst, float(difference))
            if not difference <= TOLERANCE:  # so that NaN fails too
                raise InputError(
                    f"the exported model's logits differ by {float(difference):.1e} from the "
                    f"trained module's (allowed: {TOLERANCE:.0e}); no file was written"
                )
    return worst
