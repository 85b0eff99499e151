"""How good a pairing of the demo's cohort is, by the truth that the method never reads."""

from pathlib import Path

import pandas as pd


def agreement(pairs: pd.DataFrame, truth: Path) -> float:
    """Returns the share of images whose best report describes tissue of the image's class.

    Args:
        pairs: A pairing table of the cohort's images, with `filename` as eva's BACH gives it
            ("Benign/b001.tif"), `rank` and `report_id`.
        truth: The cohort's truth table.

    Returns:
        A share in [0, 1]. Chance is 1/4: every class has as many reports.
    """
    described = pd.read_csv(truth).set_index("report_id")["described_class"]
    best = pairs.loc[pairs["rank"] == 0]
    shown = [Path(name).parent.name for name in best["filename"]]
    return float((best["report_id"].map(described) == shown).mean())
