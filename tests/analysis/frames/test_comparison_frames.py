import numpy as np
import pytest
from scipy import stats

from clipit_eva.analysis.frames import comparison_frames, secondary_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.significance import adjust, crossed_test
from clipit_eva.predictions import predictions_table


@pytest.fixture
def comparisons(shared_cells):
    return shared_cells


def test_the_headline_is_the_crossed_test_of_balanced_accuracy_with_holm(comparisons):
    frame = comparison_frames.headline_frame(comparisons)
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
    np.testing.assert_allclose(frame["p_holm"], adjust(frame["p"]).adjusted)
    assert frame["family_size"].tolist() == [2, 2]
    difference = frame["clip_it_mean_percent"] - frame["unimodal_mean_percent"]
    np.testing.assert_allclose(frame["difference_points"], difference)


def test_a_cell_with_one_arm_is_in_the_table_but_not_in_the_family(write_run, study_folder):
    targets = np.arange(20) % 4
    for seed in (1, 2, 3):
        write_run("unimodal", targets, targets, seed=seed, dataset="PatchCamelyon")
    frame = comparison_frames.headline_frame(gather(read_runs(study_folder))).set_index("dataset")
    assert frame.loc["PCAM", "refused"] == "no runs of CLIP-IT"
    assert np.isnan(frame.loc["PCAM", "p_holm"])
    assert frame["family_size"].tolist() == [2, 2, 2]


def test_the_mean_gain_tests_the_average_of_backbones_once(comparisons):
    frame = comparison_frames.mean_gain_frame(comparisons).set_index("dataset")
    assert frame.index.tolist() == ["BACH", "CRC", "all"]
    mean = frame.loc[["BACH", "CRC"], "difference_points"].mean()
    assert frame.loc["all", "difference_points"] == pytest.approx(mean)
    assert frame.loc["all", "low_points"] < mean < frame.loc["all", "high_points"]
    assert "p" not in frame.columns


def test_ablations_are_variant_minus_full_with_verdicts(comparisons):
    frame = comparison_frames.ablation_frame(comparisons, margin_points=0.5)
    assert frame["arm"].tolist() == ["no_text", "no_text"]
    assert (frame["difference_points"] < 0).all()
    assert set(frame["verdict"]) <= {"worse", "inconclusive"}
    wide = comparison_frames.ablation_frame(comparisons, margin_points=60)
    assert wide["verdict"].tolist() == ["equivalent", "equivalent"]


def test_secondary_tests_are_refused_one_by_one(comparisons):
    frame = secondary_frame.secondary_frame(comparisons, n_resamples=1000).set_index(
        ["dataset", "test"]
    )
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
    frame = secondary_frame.secondary_frame(comparisons, n_resamples=1000).set_index("test")
    assert frame.loc["AUC", "refused"] == "AUC: a class has only one test sample"
    assert not frame.loc["paired t over seeds", "refused"].startswith("AUC")


def test_every_run_is_listed_once_with_its_digest(comparisons, shared_study):
    frame = comparison_frames.scores_frame(comparisons)
    assert len(frame) == 24
    assert frame["run"].is_unique
    assert frame["config_digest"].str.fullmatch("[0-9a-f]{12}").all()
    assert all(str(shared_study) in folder for folder in frame["run"])


def test_a_baseline_is_no_ablation_of_clip_it(write_run, drawn):
    targets = np.arange(80) % 4
    for seed in (1, 2, 3):
        for method, right in (("unimodal", 0.6), ("clip_it", 0.8)):
            write_run(method, targets, drawn(targets, right, seed), seed=seed)
        path = write_run("unimodal", targets, drawn(targets, 0.7, seed), seed=seed, name=f"b{seed}")
        rows, provenance = predictions_table.read_predictions(path)
        provenance["config"]["model"]["class_path"] = "my.package.Baseline"
        predictions_table.write_predictions(rows, path, provenance)
    (comparison,) = gather(read_runs(write_run.folder))
    assert [arm.name for arm in comparison.runs] == ["unimodal", "clip_it", "Baseline"]
    assert len(comparison_frames.ablation_frame([comparison])) == 0
    assert "Baseline" in set(comparison_frames.scores_frame([comparison])["arm"])
