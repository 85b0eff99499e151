"""Every run with its scores and where they come from."""

from collections.abc import Sequence

import pandas as pd

from ..metrics.scores import accuracy, balanced_accuracy, calibration
from ..reading import arms, published
from ..reading.study import Comparison


def scores_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Returns one row a run, accuracies in percent; a text-only run serves several comparisons."""
    rows, seen = [], set()
    for comparison in comparisons:
        for arm, runs in comparison.runs.items():
            if runs[0].path in seen:
                continue
            seen.update(run.path for run in runs)
            predictions = comparison.predictions(arm.name)
            plain = 100 * accuracy(predictions, comparison.targets)
            balanced = 100 * balanced_accuracy(predictions, comparison.targets)
            for place, (replicate, run) in enumerate(comparison.named_runs(arm)):
                rows.append(
                    {
                        "dataset": comparison.dataset,
                        "backbone": published.backbone_name(runs[0].backbone),
                        "arm": arm.name,
                        "label": arm.label,
                        "recipe": arms.recipe_of(run.method, run.settings),
                        "replicate": replicate,
                        "balanced_accuracy_percent": balanced[place],
                        "accuracy_percent": plain[place],
                        "ece": calibration(run.probabilities, comparison.targets).ece,
                        "config_digest": run.config_digest,
                        "checkpoint": str(run.provenance.get("checkpoint") or "")[:12],
                        "run": str(run.path.parent),
                    }
                )
    return pd.DataFrame(rows)
