"""Agreement of a pairing with the truth."""

from pathlib import Path

import pandas as pd

from clipit_eva.demo.truth import agreement


def test_agreement_counts_best_reports_only(tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("report_id,patient_id,described_class\nA,P-1,Benign\nB,P-2,Normal\n")
    pairs = pd.DataFrame(
        {
            "filename": ["Benign/b001.tif", "Benign/b001.tif", "Normal/n001.tif", "InSitu/is1.tif"],
            "rank": [0, 1, 0, 0],
            "report_id": ["A", "B", "A", "B"],
        }
    )
    assert agreement(pairs, truth) == 1 / 3
