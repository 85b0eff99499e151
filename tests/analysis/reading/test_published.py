from pathlib import Path

import pandas as pd
import pytest

from clipit_eva.analysis.reading import published

PUBLISHED = Path(__file__).parents[3] / "shared" / "paper" / "published.csv"


@pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"no {PUBLISHED.name} beside the repository")
def test_every_published_row_is_here_and_no_other():
    columns = ["table", "source", "dataset", "backbone", "method", "accuracy_percent",
               "sd_percent", "runs"]  # fmt: skip
    theirs = pd.read_csv(PUBLISHED)[columns].sort_values(columns[:5], ignore_index=True)
    mine = pd.DataFrame(published.published())[columns].sort_values(columns[:5], ignore_index=True)
    pd.testing.assert_frame_equal(mine, theirs, check_dtype=False)


def test_table_1_averages_to_other_gains_than_claimed_on_crc():
    gains = {
        name: published.mean_gain(name, published.V1_TABLE) for name in ("PCAM", "BACH", "CRC")
    }
    assert {name: round(gain, 2) for name, gain in gains.items()} == {
        "PCAM": 2.87,
        "BACH": 1.37,
        "CRC": 0.79,
    }
    assert published.CLAIMED_MEAN_GAINS["CRC"] == 0.65


def test_both_sources_are_kept_where_they_differ():
    found = published.lookup("table1", "BACH", "ViT-B/8", "clip_it")
    assert {row.source: row.accuracy_percent for row in found} == {
        published.V1_TABLE: 84.91,
        published.REPOSITORY: 87.1,
    }


def test_unknown_names_stay_as_they_are():
    assert published.dataset_name("MHIST") == "MHIST"
    assert published.backbone_name("my/net") == "my/net"
    assert published.backbone_name("pathology/kaiko_vitl14") == "DINO ViT-L/14"
