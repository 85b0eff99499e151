"""The knob on the pairing: what share it replaces, by what, and what it leaves alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from clipit_eva.errors import InputError
from clipit_eva.pairing.pairing_table import read_pairs, write_pairs
from clipit_eva.pairing.replacement import replace_in_table, replace_pairs

REPORTS = [f"R{i}" for i in range(50)]


def _pairs(images: int = 400, ranks: int = 1) -> pd.DataFrame:
    rows = np.repeat(np.arange(images), ranks)
    return pd.DataFrame(
        {
            "split": np.where(rows < images // 2, "train", "val"),
            "index": (rows % (images // 2)).astype(np.int64),
            "filename": [f"{row}.tif" for row in rows],
            "rank": np.tile(np.arange(ranks), images),
            "report_id": [f"old{row}" for row in rows],
            "chunk": np.ones(len(rows), np.int32),
            "similarity": np.full(len(rows), 0.5, np.float32),
        }
    )


def test_no_noise_changes_nothing() -> None:
    pairs = _pairs()
    result = replace_pairs(pairs, 0, REPORTS, seed=1)
    pd.testing.assert_frame_equal(result, pairs)
    assert result is not pairs


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_exactly_that_share_of_images_is_replaced(share: float) -> None:
    pairs = _pairs(ranks=3)
    before = pairs.copy()
    result = replace_pairs(pairs, share, REPORTS, seed=1)
    pd.testing.assert_frame_equal(pairs, before)
    new = result["report_id"].isin(REPORTS)
    by_image = new.to_numpy().reshape(400, 3)
    assert (by_image.all(1) == by_image.any(1)).all()
    assert by_image.all(1).sum() == share * 400
    changed = ["report_id", "chunk", "similarity"]
    pd.testing.assert_frame_equal(result.drop(columns=changed), pairs.drop(columns=changed))
    pd.testing.assert_frame_equal(result.loc[~new], pairs.loc[~new])
    assert (result.loc[new, "chunk"] == 0).all()
    assert result.loc[new, "similarity"].isna().all()
    assert (result.dtypes == pairs.dtypes).all()
    ids = result["report_id"].to_numpy().reshape(400, 3)[by_image.all(1)]
    assert all(len(set(row)) == 3 for row in ids)


def test_drawn_reports_are_uniform() -> None:
    drawn = replace_pairs(_pairs(20_000), 1, REPORTS, seed=2)["report_id"]
    counts = drawn.value_counts().reindex(REPORTS, fill_value=0)
    assert stats.chisquare(counts).pvalue > 0.001


def test_seeds() -> None:
    pairs = _pairs()
    first, again, other = (replace_pairs(pairs, 0.5, REPORTS, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    more = replace_pairs(pairs, 0.75, REPORTS, 1)
    was = first["report_id"].isin(REPORTS)
    pd.testing.assert_frame_equal(first.loc[was], more.loc[was])


def test_a_control_is_not_what_it_is_compared_with(tmp_path: Path) -> None:
    """Both are random when all pairs are replaced; the same at random would be no control."""
    reports = tmp_path / "reports.csv"
    pd.DataFrame({"report_id": REPORTS, "text": "tissue"}).to_csv(reports)
    found = {}
    for control in (None, "shuffled", "random"):
        table, output = tmp_path / f"{control}.parquet", tmp_path / f"{control}_replaced.parquet"
        write_pairs(_pairs(), table, {"control": control})
        replace_in_table(table, output, 1, reports, seed=1)
        found[control] = read_pairs(output)[0]["report_id"]
    same = [(found[None] == found[name]).mean() for name in ("shuffled", "random")]
    assert max(*same, (found["shuffled"] == found["random"]).mean()) < 0.1


def test_order_of_rows_does_not_matter() -> None:
    pairs = _pairs()
    mixed = replace_pairs(pairs.sample(frac=1, random_state=0), 0.5, REPORTS, 1)
    pd.testing.assert_frame_equal(mixed.sort_index(), replace_pairs(pairs, 0.5, REPORTS, 1))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        replace_pairs(_pairs(), share, REPORTS, 1)


def test_too_few_reports_are_refused() -> None:
    with pytest.raises(InputError, match="report_ids"):
        replace_pairs(_pairs(ranks=3), 0.5, REPORTS[:2], 1)
