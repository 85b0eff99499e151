"""What the demo prints when it is done."""

from pathlib import Path

import numpy as np
import pandas as pd

from clipit_eva.demo.cohort import Cohort
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


def render(output: Path, cohort: Cohort, table: pd.DataFrame) -> str:
    """Returns the demo's closing text: pairing quality, the table, and what to open.

    Args:
        output: The demo's folder.
        cohort: The cohort's files.
        table: One row a seed, by `clipit_eva.analysis.frames.summary.summarize`.
    """
    files = {
        "pairs": output / "pairing" / "bach.parquet",
        "reports": cohort.reports,
        "images": cohort.bach,
        "runs": output / "runs",
        "logs": output / "runs" / "clip_it" / "seed_1" / "eva.log",
    }
    return "\n\n".join(
        [
            _pairing(files["pairs"], cohort),
            "Balanced accuracy (%) on the synthetic test set, 132 images:\n" + _format(table),
            "Synthetic data: these numbers say that the method runs, nothing about real tissue.\n"
            "CLIP-IT's difference is LoRA's and the text's together; the no-text ablation\n"
            "(DISTILL_WEIGHT=0) tells them apart.",
            "Open next:\n" + "\n".join(f"  {name:8} {path}" for name, path in files.items()),
            "Tables, figures and a page with tests and intervals:\n"
            f"  clipit-eva report {output / 'runs'} --output {output / 'report'}",
        ]
    )


def _pairing(pairs_file: Path, cohort: Cohort) -> str:
    """Says how often the paired report describes the image's class."""
    pairs, _ = read_pairs(pairs_file)
    shuffled = pairs.assign(
        report_id=np.random.default_rng(cohort.seed).permutation(pairs["report_id"].to_numpy())
    )
    return (
        "Share of images whose paired report describes their class: "
        f"{agreement(pairs, cohort.truth):.1%} "
        f"(the same pairs shuffled: {agreement(shuffled, cohort.truth):.1%}; chance: 25.0%)"
    )


def _format(table: pd.DataFrame) -> str:
    """Formats the rows, with mean and standard deviation over seeds below."""
    summary = pd.DataFrame({"mean": table.mean(), "sd": table.std()}).T
    rows = pd.concat([table, summary]).rename(columns=NAMES)
    return rows.to_string(float_format=lambda value: f"{value:.1f}", index_names=False)
