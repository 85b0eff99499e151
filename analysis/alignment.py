"""How training moved images towards their paired reports, read from the runs' alignment tables."""

from collections.abc import Sequence

import pandas as pd

from clipit_eva.models.alignment_table import FILENAME, read_alignment

from . import arms
from .cells import Cell

COLUMNS = ["dataset", "backbone", "replicate", "index"]
MEASURES = ["cosine_before", "cosine_after", "distance_before", "distance_after"]


def alignment_frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Returns closeness of image and paired report, before and after training, of full CLIP-IT.

    Args:
        cells: The cells; runs whose folder holds no `alignment.parquet` are left out.

    Returns:
        One row a training sample and seed: columns `dataset`, `backbone`, `replicate`, `index`,
        `cosine_before`, `cosine_after`, `distance_before`, `distance_after`.

    Raises:
        InputError: A table is damaged.
    """
    parts = []
    for cell in cells:
        arm = cell.arm(arms.CLIP_IT)
        if arm is None:
            continue
        for replicate, run in zip(cell.seed_names, cell.runs[arm], strict=True):
            path = run.path.parent / FILENAME
            if path.is_file():
                rows, _ = read_alignment(path)
                where = {"dataset": cell.dataset, "backbone": cell.backbone, "replicate": replicate}
                parts.append(rows.assign(**where)[[*COLUMNS, *MEASURES]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
