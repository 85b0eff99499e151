"""How training moved images towards their paired reports, read from the runs' alignment tables."""

from collections.abc import Sequence

import pandas as pd

from clipit_eva.models.alignment_table import FILENAME, read_alignment

from ..reading import arms
from ..reading.study import Comparison
from . import columns

COLUMNS = ["dataset", "backbone", "replicate", "index"]
MEASURES = ["cosine_before", "cosine_after", "distance_before", "distance_after"]


def alignment_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns closeness of image and paired report, before and after training, of full CLIP-IT.

    One row a training sample and seed, with the columns `COLUMNS` and `MEASURES`; runs whose folder
    holds no `alignment.parquet` are left out.

    Raises:
        InputError: A table is damaged.
    """
    parts = []
    for comparison in comparisons:
        arm = comparison.arm(arms.CLIP_IT)
        if arm is None:
            continue
        for replicate, run in comparison.named_runs(arm):
            path = run.path.parent / FILENAME
            if path.is_file():
                rows, _ = read_alignment(path)
                rows = rows.assign(**columns.where(comparison), replicate=replicate)
                parts.append(rows[[*COLUMNS, *MEASURES]])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
