"""What is known about leakage, a row a dataset and check."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from ..leakage.all_checks import findings
from ..reading.study import Comparison


def leakage_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns columns `dataset`, `check`, `found` ("no", "yes", "not known") and `detail`."""
    datasets = dict.fromkeys(comparison.dataset for comparison in comparisons)
    return pd.DataFrame(
        {"dataset": dataset, **asdict(finding)}
        for dataset in datasets
        for finding in findings([one for one in comparisons if one.dataset == dataset])
    )
