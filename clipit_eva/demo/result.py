"""What the demo prints when it is done."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.demo.truth import agreement
from clipit_eva.pairing.pairing_table import read_pairs

NAMES = {
    "unimodal": "unimodal",
    "no_text": "no text",
    "shuffled_pairs": "shuffled pairs",
    "clip_it": "CLIP-IT",
    "text_only": "text",
    "text_only_right": "text right, vision wrong",
    "by_chance": "by chance",
}
"""Column titles of the table of scores, in their order."""


def render(
    files: Mapping[str, Path],
    table: pd.DataFrame,
    contrasts: pd.DataFrame,
    sentences: Sequence[str],
) -> str:
    """Returns the demo's closing text: pairing quality, scores, contrasts, and what to open.

    Args:
        files: Paths of `pairs`, `reports`, `images`, `truth`, `runs` and `log`.
        table: One row a seed, by `clipit_eva.analysis.frames.summary.summarize`.
        contrasts: One row a contrast: its name in print in `contrast`, and the columns
            `difference_points`, `low_points`, `high_points` and `p`.
        sentences: What they say, in words.
    """
    shown = ("pairs", "reports", "images", "runs", "log")
    summary = pd.DataFrame({"mean": table.mean(), "sd": table.std()}).T  # over seeds
    rows = pd.concat([table, summary])[list(NAMES)].set_axis(list(NAMES.values()), axis=1)
    scores = rows.round(1).to_string()
    return "\n\n".join(
        [
            _pairing(files["pairs"], files["truth"]),
            "Balanced accuracy (%) on the synthetic test set, 132 images; 5 labelled training "
            "images a class\n(the validation images that select checkpoints keep their labels):\n"
            + scores,
            "Differences in points, with 95% intervals:\n"
            + "\n".join(_contrast(row) for _, row in contrasts.iterrows()),
            "\n".join(sentences),
            "Synthetic data: these numbers say that the method runs, nothing about real tissue.",
            "Open next:\n" + "\n".join(f"  {name:8} {files[name]}" for name in shown),
            "Tables, figures and a page with tests and intervals:\n"
            f"  clipit-eva report {files['runs']} --output {files['runs'] / 'report'}",
        ]
    )


def _contrast(row: pd.Series) -> str:
    """Returns a contrast with its interval."""
    numbers = (
        f"{row['difference_points']:+5.1f} [{row['low_points']:.1f}, {row['high_points']:.1f}]"
    )
    p = "p < 0.0001" if row["p"] < 0.0001 else f"p = {row['p']:.4f}"
    return f"  {row['contrast']:36} {numbers}, {p}"


def _pairing(pairs_file: Path, truth: Path) -> str:
    """Says how often the paired report describes the image's class."""
    pairs, provenance = read_pairs(pairs_file)
    share = provenance.get("replaced_share", 0)
    control = f"{share:.0%} of the pairs were replaced at random.\n" if share else ""
    order = np.random.default_rng(1).permutation(len(pairs))
    shuffled = pairs.assign(report_id=pairs["report_id"].to_numpy()[order])
    return (
        f"{control}Share of images whose paired report describes their class: "
        f"{agreement(pairs, truth):.1%} "
        f"(the same pairs shuffled: {agreement(shuffled, truth):.1%}; chance: 25.0%)"
    )
