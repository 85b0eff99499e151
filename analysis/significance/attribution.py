"""What of a gain is the text's: four contrasts of each dataset, and what they allow to say.

The method's gain (CLIP-IT - unimodal) is the text's and LoRA's together. The text's own is CLIP-IT
against the same layers trained without text; that it takes the right report, and not any, is shown
by CLIP-IT against shuffled pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .crossed import Crossed
from .equivalence import tost_crossed
from .multiplicity import adjust

METHOD, TEXT, PAIRS, LORA_AND_LAYERS = "method", "text", "pairs", "lora_and_layers"

CONFIRMATORY = (METHOD, TEXT)
"""Contrasts of the family whose p-values are adjusted; `pairs` is a gate behind `text`."""

Finding = Literal[
    "reports_helped",
    "text_target_helped",
    "reports_harmed",
    "no_difference",
    "not_shown",
    "cannot_tell",
]

LEVEL = 0.05


@dataclass(frozen=True)
class Attribution:
    """What may be said of reports on one dataset.

    Attributes:
        verdict: `reports_helped` (text and pairs gain), `text_target_helped` (text gains, but not
            shown is that the right report is needed), `reports_harmed` (text loses),
            `no_difference` (the text's 90% interval lies within the margin), `not_shown` (none of
            these), or `cannot_tell` (text or pairs were not tested).
        holm: Adjusted p of each confirmatory contrast that was tested.
        reason: Why it cannot be told; empty otherwise.
    """

    verdict: Finding
    holm: Mapping[str, float]
    reason: str = ""


def attribute(
    datasets: Mapping[str, Mapping[str, Crossed]], margin: float
) -> dict[str, Attribution]:
    """Returns the verdict of each dataset, with Holm's adjustment over all of them.

    Args:
        datasets: The tests of each dataset's contrasts (`method`, `text`, `pairs`,
            `lora_and_layers`, in differences of balanced accuracy), as far as their arms are there.
        margin: Largest difference that counts as none, as a fraction (0.005 is half a point).

    Raises:
        InputError: A margin not above 0.
    """
    family = [
        (dataset, name)
        for dataset, tests in datasets.items()
        for name in CONFIRMATORY
        if name in tests
    ]
    adjusted = adjust([datasets[dataset][name].p_floor for dataset, name in family], "holm")
    holm: dict[str, dict[str, float]] = {dataset: {} for dataset in datasets}
    for (dataset, name), p in zip(family, adjusted.adjusted, strict=True):
        if p is not None:
            holm[dataset][name] = p
    return {
        dataset: _attribution(tests, holm[dataset], margin) for dataset, tests in datasets.items()
    }


def _attribution(
    tests: Mapping[str, Crossed], holm: Mapping[str, float], margin: float
) -> Attribution:
    """Asks the verdicts in their order."""
    for name in (TEXT, PAIRS):
        if name not in tests:
            return Attribution("cannot_tell", holm, f"no runs for the contrast {name}")
        if tests[name].p_floor is None:
            return Attribution("cannot_tell", holm, tests[name].refused or "")
    text, pairs = tests[TEXT], tests[PAIRS]
    clear = holm[TEXT] < LEVEL
    if clear and text.estimate > 0:
        return Attribution("reports_helped" if _gains(pairs) else "text_target_helped", holm)
    if clear and text.estimate < 0:
        return Attribution("reports_harmed", holm)
    within = tost_crossed(text, margin).ci_inside_margin
    return Attribution("no_difference" if within else "not_shown", holm)


def _gains(test: Crossed) -> bool:
    """Returns whether a contrast is above 0, its p not adjusted: a gate behind the family."""
    return test.estimate > 0 and test.p_floor is not None and test.p_floor < LEVEL
