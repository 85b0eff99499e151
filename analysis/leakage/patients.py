"""Slides and patients on both sides of a split, and reports of test patients."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from clipit_eva.data.groups import groups_of
from clipit_eva.pairing.pairing_table import read_pairs
from clipit_eva.reports.tcga import patient_of

from ..reading.pairing_facts import pairing_table_of
from ..reading.runs import Run
from ..reading.slides import meta_file, slide_names
from .finding import ROLES, Finding

if TYPE_CHECKING:
    from .split_images import SplitImages

SHARE = 0.2
"""Share of the training images on which one report may be without a remark."""

NO_PAIRS = "no pairing table of these runs is where it was"


def slides_on_both_sides(run: Run, images: "Mapping[str, SplitImages] | None" = None) -> Finding:
    """Looks for slides, or patients, that training or validation and the test share.

    Args:
        run: Any run of the dataset.
        images: The images of each role; None if they are not at hand.
    """
    check = "the same slide in training or validation and in the test"
    paths = {role: meta_file(run, role) for role in ROLES}
    named = {role: set(slide_names(p).dropna()) for role, p in paths.items() if p is not None}
    for role, own in (images or {}).items():
        if (groups := groups_of(own.dataset, own.indices.tolist())) is not None:
            named[role] = set(groups)
    if "test" not in named or len(named) == 1:
        return Finding(check, "not known", "no file names the slides")
    shared = named["test"] & set().union(*(named[role] for role in named if role != "test"))
    if not shared:
        return Finding(check, "no", f"{len(named['test'])} test slides, none of them elsewhere")
    return Finding(check, "yes", f"{len(shared)} slides, such as {min(shared)}")


def reports_of_test_patients(run: Run, pairs: pd.DataFrame | None) -> Finding:
    """Looks for reports of test patients, and for their images, among the training pairs.

    Args:
        run: Any run of the dataset.
        pairs: The training pairs; None if they are not at hand.
    """
    check = "test patients among the training images or their reports (TCGA barcodes)"
    if pairs is None:
        return Finding(check, "not known", NO_PAIRS)
    names = [str(name) for name in run.test_set.filenames]
    test, texts = _patients(names), _patients(pairs["report_id"])
    images = _patients(pairs["filename"])
    if shared := test & (texts | images):
        counts = f"{len(test & texts)} by report, {len(test & images)} by image"
        return Finding(check, "yes", f"{len(shared)} patients ({counts}), such as {min(shared)}")
    unnamed = sum("TCGA" in name.upper() for name in names) if not test else 0
    if unnamed and texts:
        words = f"{unnamed} test images are of TCGA without naming the patient; leave out reports "
        return Finding(check, "not known", words + "of the test's organ to be sure")
    if not test or not (texts or images):
        return Finding(check, "not known", "file names or report ids are no barcodes")
    return Finding(check, "no", f"{len(test)} test patients, none of them in training")


def one_report_for_many(pairs: pd.DataFrame | None) -> Finding:
    """Looks for a report that is paired with more than `SHARE` of the training images."""
    check = f"one report on more than {SHARE:.0%} of the training images"
    if pairs is None or not len(pairs):
        return Finding(check, "not known", NO_PAIRS)
    first = pairs[pairs["rank"] == pairs["rank"].min()]
    share = first.groupby("report_id").size().max() / len(first)
    return Finding(check, "yes" if share > SHARE else "no", f"at most {share:.1%}")


def pairs_of_runs(runs: Iterable[Run]) -> pd.DataFrame | None:
    """Returns the training pairs of the first run whose pairing table is still what it read."""
    for run in runs:
        path = pairing_table_of(run.provenance, run.path)
        if path is not None:
            return read_pairs(path)[0]
    return None


def _patients(names: Iterable[str]) -> set[str]:
    """Returns the TCGA patients that are named anywhere in some texts."""
    found = (patient_of(name[max(name.upper().find("TCGA-"), 0) :]) for name in set(names))
    return {patient for patient in found if patient is not None}
