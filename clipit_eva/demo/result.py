"""What the demo prints when it is done."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.demo.truth import agreement
from clipit_eva.pairing.pairing_table import read_pairs

NAMES = {
    "unimodal": "unimodal",
    "clip_it": "CLIP-IT",
    "text_only": "text",
    "difference": "CLIP-IT - unimodal",
    "text_only_right": "text right, vision wrong",
    "by_chance": "by chance",
}
"""Column titles."""


def render(files: Mapping[str, Path], table: pd.DataFrame) -> str:
    """Returns the demo's closing text: pairing quality, the table, and what to open.

    Files are the paths of `pairs`, `reports`, `images`, `truth`, `runs` and `log`; the table has
    one row a seed, by `clipit_eva.analysis.frames.summary.summarize`.
    """
    shown = ("pairs", "reports", "images", "runs", "log")
    summary = pd.DataFrame({"mean": table.mean(), "sd": table.std()}).T  # over seeds
    rows = pd.concat([table, summary]).rename(columns=NAMES)
    scores = rows.to_string(float_format=lambda value: f"{value:.1f}", index_names=False)
    return "\n\n".join(
        [
            _pairing(files["pairs"], files["truth"]),
            "Balanced accuracy (%) on the synthetic test set, 132 images:\n" + scores,
            "Synthetic data: these numbers say that the method runs, nothing about real tissue.\n"
            "CLIP-IT's difference is LoRA's and the text's together; the no-text ablation\n"
            "(DISTILL_WEIGHT=0) tells them apart.",
            "Open next:\n" + "\n".join(f"  {name:8} {files[name]}" for name in shown),
            "Tables, figures and a page with tests and intervals:\n"
            f"  clipit-eva report {files['runs']} --output {files['runs'] / 'report'}",
        ]
    )


def _pairing(pairs_file: Path, truth: Path) -> str:
    """Says how often the paired report describes the image's class."""
    pairs, _ = read_pairs(pairs_file)
    order = np.random.default_rng(1).permutation(len(pairs))
    shuffled = pairs.assign(report_id=pairs["report_id"].to_numpy()[order])
    return (
        "Share of images whose paired report describes their class: "
        f"{agreement(pairs, truth):.1%} "
        f"(the same pairs shuffled: {agreement(shuffled, truth):.1%}; chance: 25.0%)"
    )
