"""How good a pairing of the demo's cohort is, by the truth that the method never reads."""

from pathlib import Path

import pandas as pd


def agreement(pairs: pd.DataFrame, truth: Path) -> float:
    """Returns the share [0, 1] of images whose best report describes tissue of the image's class.

    The pairs have `filename` as eva's BACH gives it ("Benign/b001.tif"), `rank` and `report_id`;
    `truth` is the cohort's table. Chance is 1/4: every class has as many reports.
    """
    described = pd.read_csv(truth).set_index("report_id")["described_class"]
    best = pairs.loc[pairs["rank"] == 0]
    shown = [Path(name).parent.name for name in best["filename"]]
    return float((best["report_id"].map(described) == shown).mean())
