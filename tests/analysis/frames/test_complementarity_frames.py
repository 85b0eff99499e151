import numpy as np
import pytest

from clipit_eva.analysis.frames.complementarity_frames import (
    complementarity_by_class_frame,
    complementarity_frame,
)
from clipit_eva.analysis.metrics.complementarity import (
    complementarity,
    complementarity_over_seeds,
)
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather


@pytest.fixture
def comparisons(shared_comparisons):
    return shared_comparisons


def test_complementarity_counts_are_beside_chance(comparisons):
    frame = complementarity_frame(comparisons)
    for row, comparison in zip(frame.to_dict("records"), comparisons, strict=True):
        text, vision = comparison.right("text_only"), comparison.right("unimodal")
        counts = (text * (1 - vision)).sum(axis=1)
        assert row["count_mean"] == pytest.approx(counts.mean())
        assert row["count_sd"] == pytest.approx(counts.std(ddof=1))
        chance = 0.0
        for name in np.unique(comparison.targets):
            of = comparison.targets == name
            chance += np.mean(
                text[:, of].mean(axis=1) * (1 - vision[:, of].mean(axis=1)) * of.sum()
            )
        assert row["count_by_chance"] == pytest.approx(chance)
        mirror = (vision * (1 - text)).sum(axis=1)
        assert row["mirror_mean"] == pytest.approx(mirror.mean())


def test_each_class_is_counted_alone_and_the_classes_add_up(comparisons):
    whole = complementarity_frame(comparisons)
    frame = complementarity_by_class_frame(comparisons)
    assert frame["class"].tolist() == list("abcd") * 2
    for column in ("count_mean", "count_by_chance", "mirror_mean", "n_samples"):
        sums = frame.groupby("dataset", sort=False)[column].sum()
        np.testing.assert_allclose(sums, whole[column])
    for comparison in comparisons:
        rows = frame[frame["dataset"] == comparison.dataset]
        text, vision = comparison.predictions("text_only"), comparison.predictions("unimodal")
        members = [comparison.targets == label for label in range(4)]
        seeds = [
            [complementarity(comparison.targets[of], one[of], two[of]) for of in members]
            for one, two in zip(text, vision, strict=True)
        ]
        counts = np.array([[part.text_only_right for part in seed] for seed in seeds])
        np.testing.assert_allclose(rows["count_mean"], counts.mean(axis=0))
        np.testing.assert_allclose(rows["count_sd"], counts.std(axis=0, ddof=1))
        rescued = np.array([[part.rescue_rate for part in seed] for seed in seeds], dtype=float)
        np.testing.assert_allclose(rows["rescue_rate_percent"], 100 * rescued.mean(axis=0))
        for label, row in enumerate(rows.to_dict("records")):
            of = comparison.targets == label
            own = comparison.targets[of], text[:, of], vision[:, of]
            test = complementarity_over_seeds(*own).rate_crossed
            assert row["rate_percent"] == pytest.approx(100 * test.estimate)
            assert row["rate_low_percent"] == pytest.approx(100 * test.ci95_floor[0])


def test_a_class_without_test_samples_has_no_row(write_run):
    targets = np.array([0, 0, 2, 2, 2])
    for method in ("unimodal", "text_only"):
        write_run(method, targets, np.zeros(5, dtype=int))
    frame = complementarity_by_class_frame(gather(read_runs(write_run.folder)))
    assert frame["class"].tolist() == ["a", "c"]


def test_without_unimodal_or_text_only_runs_there_is_nothing_to_count(write_run):
    write_run("unimodal", np.arange(3), np.arange(3))
    comparisons = gather(read_runs(write_run.folder))
    assert complementarity_frame(comparisons).empty
    assert complementarity_by_class_frame(comparisons).empty
