import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from clipit_eva.analysis.frames.summary import summarize
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather

TARGETS = np.arange(60) % 4


def test_one_row_a_seed_with_the_arms_scores(write_run, drawn):
    made = {}
    for seed in (1, 2):
        for method, accuracy in (("unimodal", 0.6), ("clip_it", 0.8), ("text_only", 0.5)):
            predictions = drawn(TARGETS, accuracy, seed + len(method))
            made[seed, method] = predictions
            write_run(method, TARGETS, predictions, seed=seed)
    (comparison,) = gather(read_runs(write_run.folder))
    table = summarize(comparison)
    assert table.index.tolist() == ["seed 1", "seed 2"]
    for (seed, method), predictions in made.items():
        expected = 100 * balanced_accuracy_score(TARGETS, predictions)
        assert table.loc[f"seed {seed}", method] == pytest.approx(expected)
    rescued = (made[1, "text_only"] == TARGETS) & (made[1, "unimodal"] != TARGETS)
    assert table.loc["seed 1", "text_only_right"] == rescued.sum()


def test_a_seed_that_an_arm_lacks_has_no_score(write_run, drawn):
    for seed in (1, 2):
        write_run("unimodal", TARGETS, drawn(TARGETS, 0.6, seed), seed=seed)
    write_run("clip_it", TARGETS, drawn(TARGETS, 0.8, 3), seed=1)
    table = summarize(gather(read_runs(write_run.folder))[0])
    assert table["clip_it"].isna().tolist() == [False, True]
