from dataclasses import replace

import numpy as np
import pytest

from clipit_eva.analysis.frames.complementarity_frames import complementarity_frame
from clipit_eva.analysis.frames.contrasts_frame import contrasts_frame, over_datasets
from clipit_eva.analysis.frames.headline_frame import rank_test
from clipit_eva.analysis.reading.run_settings import LABELS_PER_CLASS
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.errors import InputError

TARGETS = np.arange(12) % 4


def cells_of(write_run):
    return gather(read_runs(write_run.folder))


def test_cells_follow_the_paper_and_hold_arms_by_seed(write_run, drawn):
    for backbone in ("zzz/other", "pathology/kaiko_vits8", "pathology/mahmood_uni"):
        for seed in (1, 2):
            for method in ("clip_it", "unimodal"):
                predictions = drawn(TARGETS, 0.5, seed)
                write_run(method, TARGETS, predictions, seed=seed, backbone=backbone)
    for seed in (1, 2):
        write_run("text_only", TARGETS, TARGETS, seed=seed)
    comparisons = cells_of(write_run)
    assert [comparison.backbone for comparison in comparisons] == ["UNI", "ViT-S/8", "zzz/other"]
    for comparison in comparisons:
        assert [arm.name for arm in comparison.runs] == ["unimodal", "text_only", "clip_it"]
        expected = np.stack([drawn(TARGETS, 0.5, seed) for seed in (1, 2)])
        np.testing.assert_array_equal(comparison.predictions("unimodal"), expected)
        np.testing.assert_array_equal(comparison.right("clip_it"), expected == TARGETS)
        assert comparison.seed_names == ("seed 1", "seed 2")


def test_text_only_runs_join_every_backbone_whatever_else_lies_there(write_run, drawn):
    """Two backbones, two seeds, controls beside the full method; text models once a dataset."""
    control = {"pairing": {"control": "shuffled"}}
    for seed in (1, 2):
        for backbone in ("pathology/kaiko_vits8", "pathology/mahmood_uni"):
            where = {"seed": seed, "backbone": backbone}
            short = backbone[-3:]
            write_run("unimodal", TARGETS, drawn(TARGETS, 0.5, 10 + seed), **where)
            write_run("clip_it", TARGETS, TARGETS, **where)
            options = {"name": f"control_{short}_{seed}", "provenance": control}
            write_run("clip_it", TARGETS, TARGETS, **where, **options)
        write_run("text_only", TARGETS, drawn(TARGETS, 0.7, seed), seed=seed)
        broken = drawn(TARGETS, 0.2, 20 + seed)
        name = f"broken_text_{seed}"
        write_run("text_only", TARGETS, broken, seed=seed, name=name, provenance=control)
        write_run("text_only", TARGETS[:8], TARGETS[:8], seed=seed, dataset="CRC")
    *comparisons, other = cells_of(write_run)
    assert [comparison.name for comparison in comparisons] == ["UNI on BACH", "ViT-S/8 on BACH"]
    assert other.dataset == "CRC"
    for comparison in comparisons:
        assert [arm.name for arm in comparison.runs] == [
            "unimodal", "text_only", "clip_it", "shuffled_pairs", "text_only+shuffled_pairs",
        ]  # fmt: skip
        for arm, base in (("text_only", 0), ("text_only+shuffled_pairs", 20)):
            accuracy = 0.2 if base else 0.7
            expected = np.stack([drawn(TARGETS, accuracy, base + seed) for seed in (1, 2)])
            np.testing.assert_array_equal(comparison.predictions(arm), expected)
    frame = complementarity_frame(comparisons)
    assert frame["arm"].tolist() == 2 * ["text_only", "text_only+shuffled_pairs"]
    for row in frame.to_dict("records"):
        (comparison,) = (
            comparison for comparison in comparisons if comparison.backbone == row["backbone"]
        )
        text, vision = comparison.right(row["arm"]), comparison.right("unimodal")
        assert row["count_mean"] == pytest.approx((text * (1 - vision)).sum(axis=1).mean())


def test_runs_of_one_session_are_told_apart_by_number(write_run):
    for number in (10, 9, 0):
        write_run("unimodal", TARGETS, TARGETS, run=f"run_{number}", sure=0.9 - number / 100)
    (comparison,) = cells_of(write_run)
    assert comparison.seed_names == ("seed 1 run_0", "seed 1 run_9", "seed 1 run_10")


def test_a_missing_seed_is_named_and_arms_are_compared_on_those_that_they_share(write_run, drawn):
    for seed in (1, 2, 3):
        write_run("unimodal", TARGETS, drawn(TARGETS, 0.5, seed), seed=seed)
    for seed in (1, 3):
        write_run("clip_it", TARGETS, TARGETS, seed=seed)
    write_run("text_only", TARGETS, TARGETS, seed=2)
    (comparison,) = cells_of(write_run)
    assert comparison.gaps == (
        "text only on BACH lacks seed 1, seed 3", "CLIP-IT of UNI on BACH lacks seed 2",
    )  # fmt: skip
    both = comparison.between("unimodal", "clip_it")
    assert both.seed_names == ("seed 1", "seed 3")
    expected = np.stack([drawn(TARGETS, 0.5, seed) for seed in (1, 3)])
    np.testing.assert_array_equal(both.predictions("unimodal"), expected)
    assert comparison.has("unimodal", "text_only")
    assert not comparison.has("clip_it", "text_only")
    arm = comparison.arm("clip_it")
    assert [name for name, _ in comparison.named_runs(arm)] == ["seed 1", "seed 3"]


def test_a_copy_under_another_seed_is_refused_naming_both_files(write_run):
    one = write_run("clip_it", TARGETS, TARGETS, seed=1, sure=0.9)
    two = write_run("clip_it", TARGETS, TARGETS, seed=2, sure=0.9)
    with pytest.raises(InputError, match="two seeds of CLIP-IT of UNI on BACH, hold the") as caught:
        cells_of(write_run)
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)


def test_a_test_set_of_one_class_is_refused(write_run):
    path = write_run("unimodal", np.ones(5, dtype=int), np.ones(5, dtype=int))
    with pytest.raises(InputError, match="was tested on class 1 alone") as caught:
        cells_of(write_run)
    assert str(path) in str(caught.value)


def test_duplicate_runs_are_named(write_run):
    one = write_run("unimodal", TARGETS, TARGETS, name="one")
    two = write_run("unimodal", TARGETS, TARGETS, name="two")
    with pytest.raises(InputError, match="are both unimodal of UNI on BACH, seed 1") as caught:
        cells_of(write_run)
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)


def test_other_test_sets_are_refused_naming_both_runs_and_the_sample(write_run):
    one = write_run("clip_it", TARGETS, TARGETS)
    two = write_run("unimodal", TARGETS[:10], TARGETS[:10])
    with pytest.raises(InputError, match=r"different test sets \(10 and 12 samples\)") as caught:
        cells_of(write_run)
    assert str(one) in str(caught.value)
    assert str(two) in str(caught.value)
    names = [f"class/{place}.tif" for place in range(11)] + ["other.tif"]
    write_run("unimodal", TARGETS, TARGETS, filenames=names)
    with pytest.raises(InputError, match=r"sample 11 is other\.tif and 11 class/11\.tif"):
        cells_of(write_run)


def test_other_targets_are_refused_naming_the_sample(write_run):
    write_run("clip_it", TARGETS, TARGETS)
    changed = TARGETS.copy()
    changed[4] = 3
    write_run("unimodal", changed, TARGETS)
    with pytest.raises(InputError, match=r"disagree on the target of sample 4 \(3 and 0\)"):
        cells_of(write_run)


def test_datasets_do_not_share_seeds_or_samples(write_run):
    write_run("unimodal", TARGETS, TARGETS, seed=1)
    write_run("unimodal", TARGETS[:8], TARGETS[:8], seed=2, dataset="PatchCamelyon")
    assert [comparison.dataset for comparison in cells_of(write_run)] == ["PCAM", "BACH"]


def test_an_unknown_arm_is_refused(write_run):
    write_run("unimodal", TARGETS, TARGETS)
    (comparison,) = cells_of(write_run)
    assert not comparison.has("unimodal", "clip_it")
    with pytest.raises(InputError, match="has no arm 'clip_it'; it has unimodal"):
        comparison.right("clip_it")


def test_a_number_of_labels_is_a_comparison_of_its_own(shared_study):
    runs = [run for run in read_runs(shared_study) if run.dataset == "BACH"]
    few = [replace(run, settings={**run.settings, LABELS_PER_CLASS: 5}) for run in runs]
    comparisons = gather([*runs, *few])
    assert [one.dataset for one in comparisons] == ["BACH (5 labels a class)", "BACH"]
    assert [one.labels_per_class for one in comparisons] == [5, None]
    for one in comparisons:
        assert {arm.name for arm in one.runs} == {"unimodal", "text_only", "clip_it", "no_text"}
    frame = contrasts_frame(comparisons)
    assert over_datasets(frame, "text") is None  # one test set is no two datasets
    assert rank_test(comparisons) is None
