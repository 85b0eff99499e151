"""The verdict box and what to do next, from frames and comparisons."""

import dataclasses

from clipit_eva.analysis.report import Options, make_contents
from clipit_eva.analysis.report.next_steps import next_steps
from clipit_eva.analysis.report.verdict import answers

OPTIONS = Options(n_resamples=1000)


def test_each_dataset_has_its_verdict_its_four_contrasts_and_what_they_rest_on(shared_study):
    contents = make_contents(shared_study, OPTIONS)
    one, other = answers(contents.results["contrasts"], contents.comparisons)
    assert (one["dataset"], other["dataset"]) == ("BACH", "CRC")
    assert one["verdict"] == "cannot_tell"
    assert one["words"].startswith("cannot tell whether reports helped")
    method, text, pairs, lora = one["contrasts"]
    frame = contents.results["contrasts"]
    row = frame[(frame["dataset"] == "BACH") & (frame["contrast"] == "method")].iloc[0]
    estimate, low, high = (row[f"{end}_points"] for end in ("difference", "low", "high"))
    assert method[0] == "method: CLIP-IT - unimodal"
    assert method[1] == f"{estimate:+.2f} [{low:.2f}, {high:.2f}]†"
    assert method[2].startswith("Holm p ")
    assert text[0] == "text: CLIP-IT - no text"
    assert pairs[1:] == ("no runs of shuffled pairs", "")
    assert lora[2].startswith("p ")
    assert one["sizes"].startswith("3 seeds, 120 test images, slides unknown, 1 backbone")


def test_next_steps_name_missing_arms_seeds_and_slides(shared_study):
    contents = make_contents(shared_study, OPTIONS)
    steps = next_steps(contents)
    again = "clipit-eva ablate PLAN --output GRID"
    assert [commands for _, commands in steps] == [
        ("factors: {shuffled: {PAIRING_POLICY: shuffled}}", again),
        ("seeds: [1, 2, 3, 4, 5]", again),
        (),
    ]
    assert "missing arms (shuffled pairs)" in steps[0][0]
    assert "3 now" in steps[1][0]
    assert "slide or patient" in steps[2][0]
    unfinished = dataclasses.replace(contents, missing=("a/run_0",))
    assert next_steps(unfinished)[0] == ("Finish the plan; runs missing: 1.", (again,))
