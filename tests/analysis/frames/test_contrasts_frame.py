import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from clipit_eva.analysis.frames.contrasts_frame import SIDES, contrasts_frame, over_datasets
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.report import contrasts_of
from clipit_eva.analysis.significance import (
    adjust,
    crossed_test,
    crossed_test_over_backbones,
    macro_difference,
)
from clipit_eva.analysis.tables.contrasts_table import contrasts, contrasts_by_backbone, told

TARGETS = np.arange(200) % 4
ACCURACY = {"unimodal": 0.6, "no_text": 0.7, "shuffled_pairs": 0.7, "clip_it": 0.9}
BACKBONES = ("pathology/mahmood_uni", "pathology/kaiko_vits8")


@pytest.fixture
def write(write_run, drawn):
    """Writes the four arms of a dataset; returns the files by backbone, arm and seed."""

    def make(dataset="BACH", seeds=range(1, 6), backbones=BACKBONES, **accuracy):
        files = {}
        for number, backbone in enumerate(backbones):
            for seed in seeds:
                for place, (arm, right) in enumerate((ACCURACY | accuracy).items()):
                    control = {"pairing": {"control": "shuffled"}}
                    files[backbone, arm, seed] = write_run(
                        "unimodal" if arm == "unimodal" else "clip_it",
                        TARGETS,
                        drawn(TARGETS, right, 1000 * seed + 100 * number + place + len(dataset)),
                        seed=seed,
                        dataset=dataset,
                        backbone=backbone,
                        name=f"{dataset}{number}{arm}{seed}",
                        provenance=control if arm == "shuffled_pairs" else None,
                        **({"distill_weight": 0.0} if arm == "no_text" else {}),
                    )
        return files

    return make


def test_a_dataset_is_tested_once_and_its_backbones_described(write, write_run):
    write()
    write("CRC", clip_it=0.7)
    comparisons = gather(read_runs(write_run.folder))
    frame = contrasts_frame(comparisons)
    means, cells = frame[frame["backbone"] == ""], frame[frame["backbone"] != ""]
    assert means["contrast"].tolist() == 2 * list(SIDES)
    assert len(cells) == 16
    for dataset in ("BACH", "CRC"):
        mine = [one for one in comparisons if one.dataset == dataset]
        for row in means[means["dataset"] == dataset].to_dict("records"):
            arms = [[one.right(name) for one in mine] for name in SIDES[row["contrast"]]]
            test = crossed_test_over_backbones(*arms, classes=TARGETS)
            assert row["difference_points"] == pytest.approx(100 * test.estimate)
            assert row["low_points"] == pytest.approx(100 * test.ci95_floor[0])
            assert row["p"] == pytest.approx(test.p_floor)
    family = means[means["contrast"].isin(["method", "text"])]
    np.testing.assert_allclose(family["p_holm"], adjust(family["p"]).adjusted)
    assert means.loc[means["contrast"].isin(["pairs", "lora_and_layers"]), "p_holm"].isna().all()
    assert means.groupby("dataset")["verdict"].unique().explode().tolist() == [
        "reports_helped", "not_shown",
    ]  # fmt: skip
    row = cells[(cells["backbone"] == "UNI") & (cells["contrast"] == "text")].iloc[0]
    one = comparisons[0]
    alone = crossed_test(one.right("clip_it"), one.right("no_text"), classes=TARGETS)
    assert row["p"] == pytest.approx(alone.p_floor)
    texts = cells[cells["contrast"] == "text"]
    np.testing.assert_allclose(texts["p_holm"], adjust(texts["p"]).adjusted)
    both = means[means["contrast"] == "text"]
    numbers = both[["difference_points", "se_points", "df"]].astype(float).to_numpy().T
    assert over_datasets(frame, "text").ci95 == macro_difference(*numbers).ci95
    made = contrasts(frame, comparisons)
    assert list(made.data.columns)[:9] == [
        "dataset", "backbone", "contrast", "difference_points", "low_points", "high_points", "p",
        "p_holm", "verdict",
    ]  # fmt: skip
    assert (len(made.shown), len(made.data)) == (8, 24)
    assert len(contrasts_by_backbone(frame, comparisons).shown) == 16


def test_single_backbones_have_no_holm_p_below_five_seeds(write, write_run):
    write(seeds=(1, 2, 3, 4))
    frame = contrasts_frame(gather(read_runs(write_run.folder)))
    assert frame.loc[frame["backbone"] != "", "p_holm"].isna().all()
    assert frame.loc[frame["contrast"] == "text", "p_holm"].notna().sum() == 1


def test_a_missing_run_leaves_out_its_backbone_and_nothing_else(write, write_run):
    files = write(seeds=(1, 2, 3))
    write("CRC", seeds=(1, 2, 3))
    files[BACKBONES[1], "no_text", 2].unlink()
    frame = contrasts_frame(gather(read_runs(write_run.folder))).set_index(["dataset", "backbone"])
    mean = frame.loc[("BACH", "")].set_index("contrast")
    assert mean["n_backbones"].to_dict() == {
        "method": 2, "text": 1, "pairs": 2, "lora_and_layers": 1,
    }  # fmt: skip
    assert "without ViT-S/8: too few runs" in mean.loc["text", "warnings"]
    assert mean["verdict"].unique().tolist() == ["reports_helped"]
    cell = frame.loc[("BACH", "ViT-S/8")].set_index("contrast")
    assert cell.loc["text", "refused"] == "2 seeds: the crossed test needs at least 3"
    assert frame.loc[("CRC", ""), "p"].notna().all()


@pytest.mark.parametrize("missing", ["no_text", "shuffled_pairs"])
def test_without_an_arm_it_cannot_be_told_and_the_plans_line_is_named(write, write_run, missing):
    for (_, arm, _), path in write(backbones=BACKBONES[:1]).items():
        if arm == missing:
            path.unlink()
    frame, (first, second) = contrasts_of(write_run.folder)
    assert not told(frame)
    assert set(frame.loc[frame["backbone"] == "", "verdict"]) == {"cannot_tell"}
    line = {"no_text": "no_text: {DISTILL_WEIGHT: 0}"}
    line["shuffled_pairs"] = "shuffled: {PAIRING_POLICY: shuffled}"
    assert first.startswith("These runs cannot tell whether reports helped")
    assert first.endswith(f"factors: {{{line[missing]}}}")
    assert second.startswith("BACH: cannot tell whether reports helped")
    assert "CLIP-IT minus unimodal" in second


def test_the_sentence_has_the_verdict_and_the_intervals(write, write_run):
    write(seeds=(1, 2, 3), backbones=BACKBONES[:1])
    frame, (sentence,) = contrasts_of(write_run.folder)
    assert told(frame)
    marked = "(patch-level, optimistic: slides or patients are not known)"
    assert sentence.startswith(f"BACH: reports helped {marked}. In points of balanced accuracy: ")
    for row in frame[frame["backbone"] == ""].to_dict("records"):
        ends = f"[{row['low_points']:.2f}, {row['high_points']:.2f}]"
        assert f"{row['difference_points']:+.2f} {ends}" in sentence


def test_what_the_contrasts_could_show_follows_from_their_own_variances(write, write_run):
    write(seeds=(1, 2, 3))
    comparisons = gather(read_runs(write_run.folder))
    frame = contrasts_frame(comparisons, margin_points=4).set_index(["backbone", "contrast"])
    mean, cell = frame.loc[("", "text")], frame.loc[("UNI", "text")]
    arms = [[one.right(name) for one in comparisons] for name in SIDES["text"]]
    test = crossed_test_over_backbones(*arms, classes=TARGETS)
    solver = TTestPower()  # nobs = df + 1: d is then in units of se x sqrt(nobs)
    d = mean["wall_points"] / (100 * np.sqrt(test.samples_part)) / np.sqrt(197)
    assert solver.power(d, 197, 0.05) == pytest.approx(0.8, abs=1e-4)
    for row in (mean, cell):
        nobs = row["df"] + 1
        half = stats.t.ppf(0.975, row["df"])
        se = (row["high_points"] - row["low_points"]) / 2 / half
        d = row["detectable_points"] / se / np.sqrt(nobs)
        assert solver.power(d, nobs, 0.05) == pytest.approx(0.8, abs=1e-4)
        wide = stats.t.ppf(0.95, row["df"]) * se > 4
        assert row["equivalence"] == ("cannot be equivalent here" if wide else "")
    shown = contrasts(frame.reset_index(), comparisons).shown
    number = r"\d+\.\d\d"
    pattern = rf"{number} \({number} / {number}; ({number}|-)\)"
    assert shown["detectable"].str.match(pattern).all()
    sizes = ["detectable_5_seeds_points", "detectable_10_seeds_points"]
    tested = frame.loc[frame["detectable_points"].notna(), [*sizes, "wall_points"]].fillna(0)
    assert (np.diff(tested.to_numpy(), axis=1) < 0).all()
    assert (frame["detectable_10_seeds_points"] < frame["detectable_points"]).all()  # of 3
    assert frame["n_samples"].unique().tolist() == [200]


def test_without_contrasts_there_is_nothing(write_run):
    write_run("unimodal", TARGETS, TARGETS)
    frame, sentences = contrasts_of(write_run.folder)
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty
    assert sentences == ()
    assert not told(frame)
