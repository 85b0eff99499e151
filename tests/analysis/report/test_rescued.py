import numpy as np
import pytest

from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.report.rescued import browse


@pytest.fixture
def comparisons(write_run):
    """Sample 0 is rescued in both seeds, 1 in one, 2 lost in both; 4 cancels out."""
    targets = np.array([0, 0, 0, 0, 0, 1])
    wrong = {
        ("unimodal", 1): [0, 1, 4],
        ("unimodal", 2): [0],
        ("clip_it", 1): [2],
        ("clip_it", 2): [2, 4],
        ("text_only", 1): [0],
        ("text_only", 2): [],
    }
    for (method, seed), places in wrong.items():
        predictions = targets.copy()
        predictions[places] = 3
        write_run(method, targets, predictions, seed=seed)
    return gather(read_runs(write_run.folder))


def test_samples_are_rescued_or_lost_by_their_net_seeds(comparisons):
    browser = browse(comparisons)
    found = {sample.index: sample for sample in browser.samples}
    assert {index: (s.kind, s.net) for index, s in found.items()} == {
        0: ("rescued", 2),
        1: ("rescued", 1),
        2: ("lost", -2),
    }
    assert browser.totals == ({"rescued": 2, "lost": 1},)
    assert browser.names == ("UNI on BACH, against unimodal",)
    first = found[0]
    assert (first.filename, first.target, first.baseline, first.clip_it) == (
        "class/0.tif", "a", "d", "a",
    )  # fmt: skip
    assert first.right == ("0/2", "2/2", "1/2")
    assert first.probability_before == pytest.approx(0.033, abs=1e-3)
    assert first.probability_after == pytest.approx(0.9)


def test_the_cap_keeps_those_with_most_seeds(comparisons):
    browser = browse(comparisons, cap=1)
    assert [sample.index for sample in browser.samples] == [0, 2]
    assert browser.totals == ({"rescued": 2, "lost": 1},)


def test_without_both_arms_there_is_nothing_to_browse(write_run):
    write_run("unimodal", np.arange(3), np.arange(3))
    assert browse(gather(read_runs(write_run.folder))).samples == ()
