import numpy as np
import pytest

from clipit_eva.analysis.frames.headline_frame import headline_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.significance import crossed_test


@pytest.fixture
def comparisons(shared_comparisons):
    return shared_comparisons


def test_the_headline_is_the_crossed_test_of_balanced_accuracy(comparisons):
    frame = headline_frame(comparisons)
    assert frame["dataset"].tolist() == ["BACH", "CRC"]
    tests = [
        crossed_test(
            comparison.right("clip_it"), comparison.right("unimodal"), classes=comparison.targets
        )
        for comparison in comparisons
    ]
    np.testing.assert_allclose(frame["difference_points"], [100 * t.estimate for t in tests])
    np.testing.assert_allclose(frame["low_points"], [100 * t.ci95_floor[0] for t in tests])
    np.testing.assert_allclose(frame["p"], [test.p_floor for test in tests])
    assert frame["p_holm"].isna().all()  # three seeds
    difference = frame["clip_it_mean_percent"] - frame["unimodal_mean_percent"]
    np.testing.assert_allclose(frame["difference_points"], difference)


def test_a_comparison_with_one_arm_is_in_the_table_but_not_in_the_family(write_run, study_folder):
    targets = np.arange(20) % 4
    for seed in (1, 2, 3):
        write_run("unimodal", targets, targets, seed=seed, dataset="PatchCamelyon")
    frame = headline_frame(gather(read_runs(study_folder))).set_index("dataset")
    assert frame.loc["PCAM", "refused"] == "no runs of CLIP-IT"
    assert np.isnan(frame.loc["PCAM", "p_holm"])
