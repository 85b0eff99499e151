"""What the report says in sentences: the headline, and a methods paragraph to paste."""

from pathlib import Path

import pandas as pd

from ..frames.ablation_frame import MARGIN_POINTS
from ..frames.contrasts_frame import contrasts_frame
from ..reading.runs import read_runs
from ..reading.study import gather
from ..significance.attribution import CONFIRMATORY
from ..tables.contrasts_table import sentences as sentences_on_contrasts
from ..tables.contrasts_table import told
from .checklist import software
from .content import Contents

AGAINST = "CLIP-IT against unimodal"


def title(contents: Contents) -> str:
    """Returns the page's title: a question only where the runs can answer it."""
    return "Did pathology reports help?" if told(contents.results["contrasts"]) else AGAINST


def headline(contents: Contents) -> tuple[str, ...]:
    """Returns the result of each dataset in words, intervals included, refusals named."""
    found = sentences_on_contrasts(contents.results["contrasts"])
    if not found:
        found = ("No headline: CLIP-IT runs and others of one backbone and dataset are needed.",)
    return found


def contrasts_of(
    folder: Path, margin_points: float = MARGIN_POINTS
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Returns the contrasts of a folder of runs, and what they say of each dataset in words.

    The frame is `frames.contrasts_frame.contrasts_frame`'s; where runs cannot tell whether reports
    helped, the first sentence says so.

    Raises:
        InputError: See `reading.runs.read_runs`, `reading.study.gather`, or a margin not above 0.
    """
    frame = contrasts_frame(gather(read_runs(folder)), margin_points)
    return frame, sentences_on_contrasts(frame)


def methods(contents: Contents) -> str:
    """Returns a paragraph on the statistics that can be pasted into a paper."""
    comparisons, results = contents.comparisons, contents.results
    seeds = sorted({len(comparison.replicates) for comparison in comparisons})
    sentences = [
        "We report balanced accuracy (macro recall) as mean and standard deviation over "
        f"{' or '.join(map(str, seeds))} training seeds per arm; both arms of a comparison share "
        "seeds and test samples."
    ]
    if len(results["contrasts"]):
        sentences += _primary(contents)
    if len(results["ablations"]):
        size = int(results["ablations"]["family_size"].iloc[0])
        sentences.append(
            "Ablations were compared with full CLIP-IT by the same test with Benjamini-Hochberg "
            f"adjustment over {size} comparisons, and called "
            "equivalent when two one-sided tests at 5% placed the difference within a margin of "
            f"{contents.options.margin:g} points"
            + (" that was fixed beforehand." if contents.margin_fixed else ".")
        )
    if len(results["planted"]):
        sentences.append(
            "As a check with a planted truth, CLIP-IT was also trained with a share of the "
            "image-report pairs replaced at random, and compared with its own ablation without "
            "text (same layers) by the same test."
        )
    if len(results["complementarity"]):
        sentences.append(
            "Complementarity is the number of test samples that a text-only model classifies "
            "correctly and the vision model does not, reported beside its expectation under "
            "errors that are independent within each class."
        )
    return " ".join([*sentences, f"Software: {software()}."])


def _primary(contents: Contents) -> list[str]:
    """Returns the sentences on the headline's test."""
    clustered = dict.fromkeys(c.dataset for c in contents.comparisons if c.clusters is not None)
    plain = dict.fromkeys(c.dataset for c in contents.comparisons if c.clusters is None)
    sentences = [
        "The gain of the method (CLIP-IT minus unimodal) and of the text alone (CLIP-IT minus the "
        "same layers trained without text) were tested, as means over backbones, with seeds and "
        "test samples as crossed random effects (Obuchowski and Rockette 1995; Hillis 2014), with "
        "Satterthwaite degrees of freedom and a standard error not below the one for fixed models.",
    ]
    if clustered:
        sentences.append(f"On {', '.join(clustered)}, whole slides were the sampling unit.")
    if plain:
        sentences.append(
            f"On {', '.join(plain)}, no slide identifiers were available, so patches were treated "
            "as independent and the intervals are optimistic."
        )
    frame = contents.results["contrasts"]
    family = frame.loc[(frame["backbone"] == "") & frame["contrast"].isin(CONFIRMATORY)]
    sentences.append(
        f"p-values were adjusted by Holm's method over {family['p_holm'].notna().sum()} tests; "
        "that the right report is needed was asked by CLIP-IT minus shuffled pairs, behind the "
        "text's gain. Intervals are 95% and not adjusted. Secondary bootstraps used "
        f"{contents.options.n_resamples:,} resamples."
    )
    return sentences
