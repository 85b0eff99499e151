"""Reading plans: what is refused, each in one line that names the place."""

from pathlib import Path

import pytest

from clipit_eva.analysis.grid.plan.plan_file import read_plan
from clipit_eva.errors import InputError

SMALL = """
seeds: [1, 2]
tasks:
  bach: {cohort: 1}
backbones:
  demo: {}
methods: {unimodal: {}, clip_it: {LR_VALUE: 0.01}}
factors:
  no_text: {DISTILL_WEIGHT: 0}
include:
  - {arm: rank_8, LORA_RANK: 8, task: bach, seed: 1}
exclude:
  - {arm: no_text, seed: 2}
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_a_plan_is_what_its_file_says(tmp_path: Path) -> None:
    plan = read_plan(_write(tmp_path, SMALL))
    assert plan.seeds == (1, 2)
    assert plan.cohorts == {"bach": 1}
    assert plan.tasks == {"bach": {}}
    assert plan.methods["clip_it"] == {"LR_VALUE": 0.01}
    assert plan.factors["no_text"].environment == {"DISTILL_WEIGHT": 0}
    (included,) = plan.include
    assert included.name == "rank_8"
    assert included.environment == {"LORA_RANK": 8}
    assert included.where.seeds == (1,)
    assert plan.exclude[0].arms == ("no_text",)


def test_values_refer_to_the_callers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SMALL + "environment: {REPORTS: '${oc.env:MY_REPORTS, /default}'}\n"
    assert read_plan(_write(tmp_path, text)).environment["REPORTS"] == "/default"
    monkeypatch.setenv("MY_REPORTS", "/mine")
    assert read_plan(_write(tmp_path, text)).environment["REPORTS"] == "/mine"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds: [1, 2]", "seed: [1, 2]", ["seed is unknown", "seeds"]),
        ("seeds: [1, 2]", "seeds: [1, 2, 1]", ["seeds", "seed 1 is repeated"]),
        ("seeds: [1, 2]", "seeds: [0]", ["seeds", "at least 1"]),
        ("seeds: [1, 2]", "seeds: [1.5]", ["seeds", "1.5"]),
        ("seeds: [1, 2]", "seeds: []", ["seeds", "empty"]),
        ("seeds: [1, 2]", "", ["seeds", "missing"]),
        ("unimodal: {}", "unimodel: {}", ["methods.unimodel", "unimodal"]),
        ("{DISTILL_WEIGHT: 0}", "{}", ["factors.no_text", "changes nothing"]),
        ("{DISTILL_WEIGHT: 0}", "{method: clip, X: 1}", ["factors.no_text.method", "'clip'"]),
        ("no_text:", "clip_it:", ["factors.clip_it", "name of a method"]),
        ("no_text:", "no/text:", ["'no/text'"]),
        ("backbones:\n  demo: {}", "backbones: {}", ["backbones", "empty"]),
        ("  demo: {}", "  demo: {}\n  demo: {}", ["duplicate key", "demo"]),
        ("{arm: no_text, seed: 2}", "{arms: no_text}", ["exclude[0].arms", "arm"]),
        ("{arm: no_text, seed: 2}", "{}", ["exclude[0]", "empty"]),
        ("{arm: rank_8,", "{", ["include[0]", "arm"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nretries: -1", ["retries", "-1"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\ncontrasts: some", ["contrasts", "'some'"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nlabels_per_class: 0", ["labels_per_class", "0"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nlabels_per_class: []", ["labels_per_class", "empty"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nlabels_per_class: [5, 5]", ["labels_per_class", "once"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nreport: {margins: 1}", ["report.margins", "margin"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nreport: {margin: 0}", ["report.margin", "above 0"]),
        ("seeds: [1, 2]", "seeds: [1, 2]\nmargin: -1", ["margin is -1", "above 0"]),
        (
            "seeds: [1, 2]",
            "seeds: [1, 2]\nmargin: 1\nreport: {margin: 1}",
            ["margin is given twice", "leave that one out"],
        ),
        ("cohort: 1", "cohort: x", ["tasks.bach.cohort", "'x'"]),
        ("{unimodal: {}, ", "[unimodal, ", ["plan"]),
        ("cohort: 1", "DATA_ROOT: '${seeds2}'", ["plan", "seeds2"]),
        ("cohort: 1", "DATA_ROOT: '${tasks.bach.DATA_ROOT}'", ["plan"]),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert old in SMALL
    path = _write(tmp_path, SMALL.replace(old, new, 1))
    with pytest.raises(InputError) as refusal:
        read_plan(path)
    message = str(refusal.value)
    assert "\n" not in message
    for word in [*words, "plan.yaml"]:
        assert word in message


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "no mapping"), ("[1, 2]", "no mapping"), ("just words", "just words is unknown")],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_plan(_write(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_plan(tmp_path / "none.yaml")
