import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from clipit_eva.analysis.frames.summary import summarize
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.errors import InputError

TARGETS = np.arange(60) % 4


def test_one_row_a_seed_with_the_methods_scores(write_run, drawn):
    made = {}
    for seed in (1, 2):
        for method, accuracy in (("unimodal", 0.6), ("clip_it", 0.8), ("text_only", 0.5)):
            predictions = drawn(TARGETS, accuracy, seed + len(method))
            made[seed, method] = predictions
            write_run(method, TARGETS, predictions, seed=seed)
    table = summarize(read_runs(write_run.folder))
    assert table.index.tolist() == [1, 2]
    for (seed, method), predictions in made.items():
        expected = 100 * balanced_accuracy_score(TARGETS, predictions)
        assert table.loc[seed, method] == pytest.approx(expected)
    rescued = (made[1, "text_only"] == TARGETS) & (made[1, "unimodal"] != TARGETS)
    assert table.loc[1, "text_only_right"] == rescued.sum()


def test_a_missing_method_is_named(write_run):
    write_run("unimodal", TARGETS, TARGETS)
    with pytest.raises(InputError, match="seed 1 has 0 runs of clip_it"):
        summarize(read_runs(write_run.folder))
