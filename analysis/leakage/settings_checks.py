"""Leakage that a run's settings tell: selection on the test, arms that saw other data."""

from collections.abc import Callable, Iterable, Sequence

from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.models.alignment_table import FILENAME, read_alignment

from ..reading.runs import Run
from ..reading.study import Comparison
from .finding import Finding

ALIKE = 0.99
"""Mean cosine of the texts paired with two images from which the texts say nothing."""

_PLACE = ("root", "download", "transforms")
"""Arguments of a dataset that do not say which images it has."""


def selection_on_test(runs: Iterable[Run]) -> Finding:
    """Looks for runs whose checkpoint was selected on the test's own images."""
    check = "checkpoint selected on the test images"
    runs = list(runs)
    chosen = [run for run in runs if run.config.get("data.datasets.val") is not None]
    guilty = [run for run in chosen if _images(run, "val") == _images(run, "test")]
    if guilty:
        return Finding(check, "yes", f"{len(guilty)} of {len(runs)} runs, such as {guilty[0].path}")
    if len(chosen) < len(runs):
        words = f"{len(runs) - len(chosen)} of {len(runs)} runs record no validation data"
        return Finding(check, "not known", words)
    return Finding(check, "no", "validation and test are other splits")


def different_data(comparisons: Sequence[Comparison]) -> Finding:
    """Looks for arms of one comparison that learnt or were selected on other images."""
    check = "arms trained or selected on different images"
    for comparison in comparisons:
        runs = comparison.all_runs
        if any(run.config.get("data.datasets.train") is None for run in runs):
            return Finding(check, "not known", "not all runs record their training data")
        for role in ("train", "val"):
            if other := _unlike_first(runs, lambda run, role=role: _images(run, role)):
                words = f"{role} of {other.path} is not that of {runs[0].path}"
                return Finding(check, "yes", words)
    return Finding(check, "no", "all runs of a comparison name the same splits")


def different_weights(comparisons: Sequence[Comparison]) -> Finding:
    """Looks for arms of one comparison whose backbones were made with other arguments."""
    check = "arms that start from different weights"
    for comparison in comparisons:
        runs = [run for run in comparison.all_runs if run.backbone]
        if other := _unlike_first(runs, _backbone):
            words = f"the backbone of {other.path} is not that of {runs[0].path}"
            return Finding(check, "yes", words)
    return Finding(check, "no", "all runs of a comparison name the same backbone and arguments")


def texts_alike(comparisons: Sequence[Comparison]) -> Finding:
    """Looks for trained text encoders that give all reports nearly the same embedding."""
    check = f"reports' embeddings alike after training (mean cosine of {ALIKE} or more)"
    cosines = [
        (facts["text_cosine_after"], facts["text_cosine_before"], run.path.parent)
        for comparison in comparisons
        for run in comparison.all_runs
        if (run.path.parent / FILENAME).is_file()
        and "text_cosine_after" in (facts := read_alignment(run.path.parent / FILENAME)[1])
    ]
    if not cosines:
        return Finding(check, "not known", "no run measured them")
    after, before, folder = max(cosines, key=lambda item: item[0])
    words = f"at most {after:.3f} ({before:.3f} before training; {folder})"
    return Finding(check, "yes" if after >= ALIKE else "no", words)


def _unlike_first(runs: Sequence[Run], facts: Callable[[Run], object]) -> Run | None:
    """Returns the first run whose facts are not the first run's."""
    return next((run for run in runs if facts(run) != facts(runs[0])), None)


def _images(run: Run, role: str) -> list[tuple[str, object]]:
    """Returns what names the images of a role: the dataset, its split, the hold-out."""
    recorded = run.config.part(f"data.datasets.{role}").of_images()
    inner = recorded.innermost
    own = {k: v for k, v in inner.arguments.items() if k not in _PLACE}
    held = {k: v for k, v in recorded.first("HoldOut").arguments.items() if k != "dataset"}
    named = RecordedConfig({"class": inner.class_name, "own": own, "held": held})
    return sorted((at, repr(value)) for at, value in named.leaves())


def _backbone(run: Run) -> list[tuple[str, object]]:
    """Returns what names a run's backbone; what is not set says nothing."""
    part = run.config.part("model.backbone").of_images()
    return sorted((at, repr(value)) for at, value in part.leaves() if value is not None)
