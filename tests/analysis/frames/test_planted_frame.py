import numpy as np
import pytest

from clipit_eva.analysis.frames.planted_frame import planted_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.report import Options, write_report
from clipit_eva.analysis.significance import crossed_test
from clipit_eva.analysis.tables.planted_table import planted, sentences

TARGETS = np.arange(400) % 4
ACCURACY = {0.0: 0.9, 0.5: 0.8, 1.0: 0.7}
"""Of CLIP-IT by share of replaced pairs; of no text 0.7: the gain is 20, 10 and 0 points."""


def write(write_run, drawn, shares=(0.0, 0.5, 1.0), seeds=(1, 2, 3), base=0.7, **options):
    for seed in seeds:
        common = {"seed": seed, **options}
        predictions = drawn(TARGETS, base, seed)
        write_run("clip_it", TARGETS, predictions, distill_weight=0.0, name=f"no{seed}", **common)
        for share in shares:
            predictions = drawn(TARGETS, ACCURACY[share], 1000 * seed + int(10 * share))
            facts = {"pairing": {"replaced_share": share}}
            name = f"{share}_{seed}"
            write_run("clip_it", TARGETS, predictions, name=name, provenance=facts, **common)
    return gather(read_runs(write_run.folder))


def test_each_share_is_compared_with_no_text_by_the_crossed_test(write_run, drawn):
    comparisons = write(write_run, drawn)
    frame = planted_frame(comparisons)
    assert frame["replaced_share"].tolist() == [0.0, 0.5, 1.0]
    assert frame["arm"].tolist() == ["clip_it", "replaced_pairs_50", "replaced_pairs_100"]
    (comparison,) = comparisons
    for row in frame.to_dict("records"):
        test = crossed_test(
            comparison.right(row["arm"]), comparison.right("no_text"), classes=TARGETS
        )
        assert row["difference_points"] == pytest.approx(100 * test.estimate)
        assert row["low_points"] == pytest.approx(100 * test.ci95_floor[0])
        assert row["high_points"] == pytest.approx(100 * test.ci95_floor[1])
        assert row["covers_zero"] == (row["low_points"] <= 0 <= row["high_points"])
        difference = row["clip_it_mean_percent"] - row["no_text_mean_percent"]
        assert row["difference_points"] == pytest.approx(difference)
    assert frame["covers_zero"].tolist() == [False, False, True]
    assert "p" not in frame.columns


def test_full_clip_it_is_not_needed(write_run, drawn):
    frame = planted_frame(write(write_run, drawn, shares=(1.0,)))
    assert frame["replaced_share"].tolist() == [1.0]


@pytest.mark.parametrize("leave_out", ["no_text", "shares"])
def test_without_the_ablation_or_the_shares_there_is_nothing_to_say(write_run, drawn, leave_out):
    for share in (0.0,) if leave_out == "shares" else (0.0, 1.0):
        facts = {"pairing": {"replaced_share": share}}
        write_run("clip_it", TARGETS, TARGETS, name=f"{share}", provenance=facts)
    if leave_out == "shares":
        write_run("clip_it", TARGETS, TARGETS, distill_weight=0.0, name="no")
    assert planted_frame(gather(read_runs(write_run.folder))).empty


def test_runs_that_differ_in_more_than_the_pairs_are_left_out(write_run, drawn):
    write(write_run, drawn)
    for seed in (1, 2, 3):
        facts = {"pairing": {"replaced_share": 1.0}}
        write_run("clip_it", TARGETS, TARGETS, seed=seed, name=f"rank{seed}",
                  provenance=facts, lora={"rank": 4})  # fmt: skip
    frame = planted_frame(gather(read_runs(write_run.folder)))
    assert frame["arm"].tolist() == ["clip_it", "replaced_pairs_50", "replaced_pairs_100"]


def test_a_setting_is_compared_with_its_own_ablation(write_run, drawn):
    write(write_run, drawn)
    for seed in (1, 2, 3):
        for share, accuracy in ((0.0, 0.95), (1.0, 0.7)):
            predictions = drawn(TARGETS, accuracy, 77 * seed + int(share))
            facts = {"pairing": {"replaced_share": share}}
            write_run("clip_it", TARGETS, predictions, seed=seed, name=f"l{share}_{seed}",
                      provenance=facts, distill_weight=10.0)  # fmt: skip
    frame = planted_frame(gather(read_runs(write_run.folder)))
    assert frame["setting"].tolist() == [""] * 3 + ["lambda 10"] * 2
    assert frame["no_text_mean_percent"].nunique() == 1  # lambda is nothing to it
    assert len(sentences(frame)) == 2


def test_gains_over_all_replaced_are_those_of_the_crossed_test(write_run, drawn):
    comparisons = write(write_run, drawn)
    frame, (comparison,) = planted_frame(comparisons), comparisons
    replaced = comparison.right("replaced_pairs_100")
    for row in frame.to_dict("records")[:2]:
        test = crossed_test(comparison.right(row["arm"]), replaced, classes=TARGETS)
        assert row["over_replaced_difference_points"] == pytest.approx(100 * test.estimate)
        assert row["over_replaced_low_points"] == pytest.approx(100 * test.ci95_floor[0])
    assert np.isnan(frame["over_replaced_difference_points"][2])


def test_the_sentence_says_what_was_seen_and_denied(write_run, drawn):
    comparisons = write(write_run, drawn)
    frame = planted_frame(comparisons)
    (sentence,) = sentences(frame)
    assert sentence.startswith("UNI on BACH: on untouched pairs the gain over the no-text ablation")
    assert "the planted gain was seen; with all pairs replaced at random it is" in sentence
    assert sentence.endswith("but that the gain is within 0.5 points of it is not shown.")
    row = frame.iloc[2]
    ends = f"[{row['low_points']:.2f}, {row['high_points']:.2f}]"
    assert f"{row['difference_points']:+.2f} {ends} points" in sentence
    made = planted(frame, comparisons)
    assert sentence in made.notes
    assert made.shown["pairs replaced %"].tolist() == ["0", "50", "100"]
    assert made.shown["interval covers 0"].tolist() == ["no", "no", "yes"]
    assert made.shown["within the margin"].tolist() == ["no"] * 3
    (sentence,) = sentences(planted_frame(comparisons, margin_points=10))
    assert sentence.endswith("within 10 points of zero: the absent gain was denied.")
    (sentence,) = sentences(planted_frame(write(write_run, drawn, base=0.4)))
    assert "does not cover zero: not all of the gain comes from the pairs" in sentence
    assert sentences(frame[:2]) == ()


def test_two_seeds_are_shown_and_not_tested(write_run, drawn):
    comparisons = write(write_run, drawn, seeds=(1, 2))
    frame = planted_frame(comparisons)
    assert frame["covers_zero"].tolist() == [None] * 3
    assert "not tested (2 seeds: the crossed test needs at least 3" in sentences(frame)[0]
    made = planted(frame, comparisons)
    assert made.shown["difference [95% CI]"][0].endswith(" [1]")
    assert made.shown["interval covers 0"].tolist() == ["-"] * 3


def test_the_report_has_the_table_the_figure_and_the_sentence(write_run, drawn, tmp_path):
    comparisons = write(write_run, drawn)
    page = write_report(write_run.folder, tmp_path / "report", Options(n_resamples=1000))
    files = {path.name for path in page.parent.rglob("*")}
    names = ("csv", "md", "tex", "png", "svg")
    assert {f"replaced_pairs.{suffix}" for suffix in names} <= files
    text = page.read_text()
    (sentence,) = sentences(planted_frame(comparisons))
    assert f"<p>{sentence}</p>" in text
    assert 'id="figure-replaced_pairs"' in text
    assert "with a share of the image-report pairs replaced at random" in text
