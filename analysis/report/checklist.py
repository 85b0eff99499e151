"""What reporting guidelines ask for: filled in where runs tell, "author" where only authors can.

`checklist.csv` names items of TRIPOD+AI (Collins et al. 2024) and CLAIM (Mongan, Moy and Kahn 2020)
by their numbers and a topic of ours.
"""

from collections.abc import Sequence
from importlib import metadata, resources

import numpy as np
import pandas as pd

from ..reading.study import Comparison
from ..tables import layout, notes
from ..tables.table import Table
from .training_settings import settings

PACKAGES = ("clipit-eva", "kaiko-eva", "scipy", "statsmodels", "scikit-learn")
"""Packages that a paper names with their versions."""

TITLES = {"tripod": "TRIPOD+AI", "claim": "CLAIM", "topic": "Topic", "known": "What is known"}
NOTE = (
    "Numbers of items of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378) and CLAIM (Mongan et al. "
    '2020, Radiol. Artif. Intell. 2:e200029); "author": files of runs cannot tell.'
)


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a topic: columns `tripod`, `claim`, `topic`, `known`."""
    runs = {run.path: run for comparison in comparisons for run in comparison.all_runs}
    lost = sum(run.provenance.get("not_finite") or 0 for run in runs.values())
    selection, classes = {}, {}
    for one in comparisons:
        known = settings(one.all_runs[0])
        images = f"on {known['n_validation'] or 'an unknown number of'} images"
        selection[one.dataset] = f"{known['selected'] or 'not recorded'}, {images}"
        sizes = np.bincount(one.targets, minlength=len(one.samples.classes))
        pairs = zip(one.samples.classes, sizes, strict=False)
        classes[one.dataset] = ", ".join(f"{name} {size:,}" for name, size in pairs)
    facts = {
        "missing": f"{lost} predictions of {len(runs)} runs were no numbers and are left out",
        "partitions": notes.sizes(comparisons),
        "selection": "; ".join(f"{dataset}: {words}" for dataset, words in selection.items()),
        "classes": "; ".join(f"{dataset}: {words}" for dataset, words in classes.items()),
        "software": software(),
    }
    file = resources.files(__name__.rpartition(".")[0]) / "checklist.csv"
    with file.open(encoding="utf-8") as rows:
        items = pd.read_csv(rows, dtype=str, keep_default_na=False)
    return items.assign(known=[text.format(**facts) for text in items["known"]])


def table(frame: pd.DataFrame, _: Sequence[Comparison] = ()) -> Table:
    """Returns the table."""
    columns = [layout.words(title, name) for name, title in TITLES.items()]
    title = "Checklist of reporting guidelines"
    return layout.lay_out("checklist", title, frame, columns, before=(NOTE,))


def software() -> str:
    """Returns the versions of the packages that a paper names."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
