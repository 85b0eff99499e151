"""What the report says in sentences: the headline, and a methods paragraph to paste."""

from importlib import metadata

import pandas as pd

from ..frames.columns import paired
from ..frames.headline_frame import ALL_DATASETS
from ..tables.planted_table import sentences as sentences_on_replaced
from ..tables.table import difference_of, records
from .content import Contents

PACKAGES = ("clipit-eva", "kaiko-eva", "scipy", "statsmodels", "scikit-learn")
"""Packages that a methods paragraph names with their versions."""


def headline(contents: Contents) -> tuple[str, ...]:
    """Returns the result in a few sentences, intervals included, refusals named."""
    rows = [
        row for row in records(contents.results["headline"]) if pd.notna(row["difference_points"])
    ]
    planted = sentences_on_replaced(contents.results["planted"])
    if not rows:
        needed = "unimodal and CLIP-IT runs of one backbone and dataset are needed"
        return (f"No headline: {needed}.", *planted)
    sentences = [_mean_gain(row) for row in records(contents.results["mean_gains"])]
    tested = [row for row in rows if not row["refused"]]
    if tested:
        better = sum(row["p_holm"] < 0.05 and row["difference_points"] > 0 for row in tested)
        worse = sum(row["p_holm"] < 0.05 and row["difference_points"] < 0 for row in tested)
        sentences.append(
            f"Of {len(tested)} single comparisons (backbone and dataset), CLIP-IT is better in "
            f"{better} and worse in {worse} after Holm's adjustment; the others show no "
            "difference beyond chance, which is no proof of equality."
        )
    refused = len(rows) - len(tested)
    if refused:
        words = "comparison was" if refused == 1 else "comparisons were"
        sentences.append(f"{refused} single {words} not tested; the table says why.")
    return (*sentences, *planted)


def _mean_gain(row: dict) -> str:
    """Returns one sentence on the mean gain of one dataset, or over datasets."""
    gain = difference_of(row)
    if row["dataset"] == ALL_DATASETS:
        return f"Mean over these datasets: {gain} points."
    many = f" (mean over {row['n_backbones']:.0f} backbones)" if row["n_backbones"] > 1 else ""
    words = f"{row['dataset']}: CLIP-IT minus unimodal {gain} points of balanced accuracy{many}"
    return f"{words}; not tested ({row['refused']})." if row.get("refused") else f"{words}."


def methods(contents: Contents) -> str:
    """Returns a paragraph on the statistics that can be pasted into a paper."""
    comparisons, results = contents.comparisons, contents.results
    seeds = sorted({len(comparison.replicates) for comparison in comparisons})
    sentences = [
        "We report balanced accuracy (macro recall) as mean and standard deviation over "
        f"{' or '.join(map(str, seeds))} training seeds per arm; both arms of a comparison share "
        "seeds and test samples."
    ]
    if paired(comparisons):
        sentences += _primary(contents)
    if len(results["ablations"]):
        size = int(results["ablations"]["family_size"].iloc[0])
        sentences.append(
            "Ablations were compared with full CLIP-IT by the same test with Benjamini-Hochberg "
            f"adjustment over {size} comparisons, and called "
            "equivalent when two one-sided tests at 5% placed the difference within a margin of "
            f"{contents.options.margin_points:g} points that was fixed beforehand."
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
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return " ".join([*sentences, f"Software: {versions}."])


def _primary(contents: Contents) -> list[str]:
    """Returns the sentences on the headline's test."""
    clustered = dict.fromkeys(c.dataset for c in contents.comparisons if c.clusters is not None)
    plain = dict.fromkeys(c.dataset for c in contents.comparisons if c.clusters is None)
    sentences = [
        "Differences between CLIP-IT and its unimodal counterpart were tested with seeds and test "
        "samples as crossed random effects (Obuchowski and Rockette 1995; Hillis 2014), with "
        "Satterthwaite degrees of freedom and a standard error not below the one for fixed models.",
    ]
    if clustered:
        sentences.append(f"On {', '.join(clustered)}, whole slides were the sampling unit.")
    if plain:
        sentences.append(
            f"On {', '.join(plain)}, no slide identifiers were available, so patches were treated "
            "as independent and the intervals are optimistic."
        )
    size = int(contents.results["headline"]["family_size"].iloc[0])
    sentences.append(
        f"p-values were adjusted by Holm's method over {size} comparisons; intervals are 95% and "
        f"not adjusted. Secondary bootstraps used {contents.options.n_resamples:,} resamples."
    )
    return sentences
