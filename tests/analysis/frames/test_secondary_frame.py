import numpy as np
import pytest
from scipy import stats

from clipit_eva.analysis.frames.secondary_frame import secondary_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather


@pytest.fixture
def comparisons(shared_comparisons):
    return shared_comparisons


def test_secondary_tests_are_refused_one_by_one(comparisons):
    frame = secondary_frame(comparisons, n_resamples=1000).set_index(["dataset", "test"])
    assert frame.loc[("BACH", "signed rank over seeds"), "refused"].startswith("3 differences")
    row = frame.loc[("BACH", "paired t over seeds")]
    one, two = (comparisons[0].right(name).mean(axis=1) for name in ("clip_it", "unimodal"))
    assert row["estimate_points"] == pytest.approx(100 * (one - two).mean())
    assert float(row["p"]) == pytest.approx(stats.ttest_rel(one, two).pvalue, rel=0.05)
    assert " to " in frame.loc[("BACH", "McNemar mid-p, each seed"), "p"]


def test_an_auc_of_one_sample_of_a_class_is_refused_and_the_rest_is_not(write_run, drawn):
    targets = np.array([0, 0, 0, 1])
    for seed in (1, 2, 3):
        for method, accuracy in (("unimodal", 0.5), ("clip_it", 0.8)):
            predictions = drawn(targets, accuracy, seed + len(method), 2)
            write_run(method, targets, predictions, seed=seed, classes=2)
    comparisons = gather(read_runs(write_run.folder))
    frame = secondary_frame(comparisons, n_resamples=1000).set_index("test")
    assert frame.loc["AUC", "refused"] == "AUC: a class has only one test sample"
    assert not frame.loc["paired t over seeds", "refused"].startswith("AUC")
