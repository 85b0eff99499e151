"""The first table of an experiment: what each method reached, and what text could add."""

import pandas as pd

from clipit_eva.errors import InputError

from ..metrics.complementarity import complementarity
from ..metrics.scores import balanced_accuracy
from ..reading.runs import Run


def summarize(runs: list[Run]) -> pd.DataFrame:
    """Returns one row a seed: the balanced accuracy of each method, and complementarity.

    Runs are of one dataset, one of each method and seed.

    Returns:
        Indexed by seed; columns `unimodal`, `clip_it`, `text_only` (balanced accuracy in
        percent), `difference` (CLIP-IT minus unimodal, in points), `text_only_right` (test samples
        with text right and vision wrong: the paper's measure) and `by_chance` (what independent
        errors would give, from accuracies within classes).

    Raises:
        InputError: A seed lacks a method, or has it twice.
    """
    rows = {}
    for seed in sorted({run.seed for run in runs if run.seed is not None}):
        arms = _arms([run for run in runs if run.seed == seed], seed)
        scores = {
            method: 100 * float(balanced_accuracy(run.predictions, run.test_set.targets)[0])
            for method, run in arms.items()
        }
        vision, text = arms["unimodal"], arms["text_only"]
        both = complementarity(vision.test_set.targets, text.predictions, vision.predictions)
        rows[seed] = {
            **scores,
            "difference": scores["clip_it"] - scores["unimodal"],
            "text_only_right": both.text_only_right,
            "by_chance": both.expected_text_only_right_if_independent_within_class,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")


def _arms(runs: list[Run], seed: int) -> dict[str, Run]:
    """Returns one seed's runs by method."""
    arms = {}
    for method in ("unimodal", "clip_it", "text_only"):
        found = [run for run in runs if run.method == method]
        if len(found) != 1:
            raise InputError(f"seed {seed} has {len(found)} runs of {method}; one is needed")
        arms[method] = found[0]
    return arms
