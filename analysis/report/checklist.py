"""What reporting guidelines ask for: filled in where runs tell, "author" where only authors can.

TRIPOD+AI: Collins et al. (2024, BMJ 385:e078378). CLAIM: Mongan, Moy and Kahn (2020, Radiol. Artif.
Intell. 2:e200029). Items are named by their numbers and a topic of ours.
"""

from collections.abc import Sequence
from importlib import metadata

import numpy as np
import pandas as pd

from ..reading.study import Comparison
from ..tables import layout, notes
from ..tables.table import Table
from .training_settings import settings

AUTHOR = "author"

PACKAGES = ("clipit-eva", "kaiko-eva", "scipy", "statsmodels", "scikit-learn")
"""Packages that a paper names with their versions."""

COLUMNS = (
    layout.words("TRIPOD+AI", "tripod"),
    layout.words("CLAIM", "claim"),
    layout.words("Topic", "topic"),
    layout.words("What is known", "known"),
)
NOTE = (
    "Numbers of items of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378) and CLAIM (Mongan et al. "
    f'2020, Radiol. Artif. Intell. 2:e200029); "{AUTHOR}": files of runs cannot tell.'
)


def frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a topic: columns `tripod`, `claim`, `topic`, `known`."""
    rows = (
        ("1-4", "1-4", "title, abstract, background, objectives", AUTHOR),
        ("5-6", "5-8", "data sources, dates, setting, eligibility", AUTHOR),
        ("8", "11, 14-18", "outcome, reference standard, annotators", AUTHOR),
        ("9", "", "predictors", "the image; in training of CLIP-IT its paired report, too"),
        ("10", "19", "sample size", "`clipit-eva power PLAN` says what can be shown"),
        ("11", "13", "missing data", _missing(comparisons)),
        ("12a", "20", "partitions", notes.sizes(comparisons)),
        ("12a", "21", "level at which partitions are disjoint", "table of leakage"),
        ("12c", "22, 24-25", "model, initialisation, training", "table of training settings"),
        ("12c", "26", "selection of the final model", _selection(comparisons)),
        ("", "27", "ensembling", "none: each seed is a model of its own"),
        ("12e", "28-29", "measures and their uncertainty", "methods, notes to the tables"),
        ("13", "", "class imbalance", _imbalance(comparisons)),
        ("14", "", "fairness", AUTHOR),
        ("15", "", "model output", "a probability of each class; the largest decides"),
        ("17-18", "12, 40-42", "ethics, funding, protocol, registration, data", AUTHOR),
        ("18f", "23", "software", software()),
        ("19", "", "patient and public involvement", AUTHOR),
        ("20-21", "33-34", "flow of participants, demographics", AUTHOR),
        ("23a", "35-36", "performance with intervals", "contrasts.csv, metrics.csv, table1.csv"),
        ("23b", "30", "heterogeneity, robustness", "seeds and samples; of centres: " + AUTHOR),
        ("", "31-32", "explainability, external data", AUTHOR),
        ("", "37", "failure analysis", "errors/*.csv, rescued and lost samples, confusion"),
        ("25-27", "38-39", "interpretation, limits, use", AUTHOR),
    )
    return pd.DataFrame(rows, columns=["tripod", "claim", "topic", "known"])


def table(frame: pd.DataFrame, _: Sequence[Comparison] = ()) -> Table:
    """Returns the table."""
    title = "Checklist of reporting guidelines"
    return layout.lay_out("checklist", title, frame, COLUMNS, before=(NOTE,))


def _missing(comparisons: Sequence[Comparison]) -> str:
    """Returns how many answers to test samples were no numbers, over all runs."""
    runs = {run.path: run for comparison in comparisons for run in comparison.all_runs}
    count = sum(run.provenance.get("not_finite") or 0 for run in runs.values())
    return f"{count} predictions of {len(runs)} runs were no numbers and are left out"


def _selection(comparisons: Sequence[Comparison]) -> str:
    """Returns how checkpoints were selected, and on how many images, by dataset."""
    found = {}
    for comparison in comparisons:
        known = settings(comparison.all_runs[0])
        images = f"on {known['n_validation'] or 'an unknown number of'} images"
        found[comparison.dataset] = f"{known['selected'] or 'not recorded'}, {images}"
    return "; ".join(f"{dataset}: {words}" for dataset, words in found.items())


def _imbalance(comparisons: Sequence[Comparison]) -> str:
    """Returns the numbers of test images by class."""
    found = {}
    for comparison in comparisons:
        sizes = np.bincount(comparison.targets, minlength=len(comparison.samples.classes))
        pairs = zip(comparison.samples.classes, sizes, strict=False)
        found[comparison.dataset] = ", ".join(f"{name} {size:,}" for name, size in pairs)
    shown = "; ".join(f"{dataset}: {words}" for dataset, words in found.items())
    return f"balanced accuracy weighs classes alike; test images: {shown}"


def software() -> str:
    """Returns the versions of the packages that a paper names."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
