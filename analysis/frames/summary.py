"""The first table of an experiment: what each arm reached, and what text could add."""

import pandas as pd

from ..metrics.complementarity import complementarity
from ..metrics.scores import balanced_accuracy
from ..reading import arms
from ..reading.study import Comparison


def summarize(comparison: Comparison) -> pd.DataFrame:
    """Returns one row a seed: the balanced accuracy of each arm, and complementarity.

    Returns:
        Indexed by the replicates in words; a column of balanced accuracy in percent for each arm,
        NaN for seeds that it lacks; with a text-only arm also `text_only_right` (test samples with
        text right and unimodal wrong: the paper's measure) and `by_chance` (what independent
        errors would give, from accuracies within classes).
    """
    targets = comparison.targets
    columns = {}
    for arm in comparison.runs:
        scores = balanced_accuracy(comparison.predictions(arm.name), targets)
        names = [name for name, _ in comparison.named_runs(arm)]
        columns[arm.name] = pd.Series(100 * scores, index=names)
    if comparison.has(arms.UNIMODAL, arms.TEXT_ONLY):
        both = comparison.between(arms.UNIMODAL, arms.TEXT_ONLY)
        text, vision = (both.predictions(name) for name in (arms.TEXT_ONLY, arms.UNIMODAL))
        found = [complementarity(targets, *pair) for pair in zip(text, vision, strict=True)]
        right = [one.text_only_right for one in found]
        chance = [one.expected_text_only_right_if_independent_within_class for one in found]
        columns["text_only_right"] = pd.Series(right, index=list(both.seed_names))
        columns["by_chance"] = pd.Series(chance, index=list(both.seed_names))
    return pd.DataFrame(columns)
