import numpy as np
import pytest

from clipit_eva.analysis.significance import adjust, attribute, crossed_test
from clipit_eva.errors import InputError

KNOWN = "19_attribution.json"

CONTRASTS = {
    "method": ("clip_it", "unimodal"),
    "text": ("clip_it", "no_text"),
    "pairs": ("clip_it", "shuffled_pairs"),
    "lora_and_layers": ("no_text", "unimodal"),
}


def contrasts_of(given):
    right = {
        name: np.array([[int(letter) for letter in seed] for seed in seeds])
        for name, seeds in given["arms"].items()
    }
    return {
        name: crossed_test(right[first], right[second], classes=given["y"])
        for name, (first, second) in CONTRASTS.items()
    }


def test_known_attributions(known, check):
    for name, given in known["inputs"].items():
        tests, expected = contrasts_of(given), known["expected"][name]
        tolerance = known["tolerance"]["default"]
        check(expected["contrasts"], tests, tolerance)
        found = attribute({name: tests}, given["margin"])[name]
        check(expected["holm"], found.holm, tolerance)
        assert found.verdict == expected["verdict"]


def made(gains, seeds=5):
    """Tests of arms that are right by 60% and some gains more, on 400 samples."""
    rng = np.random.default_rng(0)
    base = {"unimodal": 0.6, "no_text": 0.6, "shuffled_pairs": 0.6, "clip_it": 0.6, **gains}
    right = {name: rng.random((seeds, 400)) < p for name, p in base.items()}
    return {
        name: crossed_test(right[first], right[second], classes=np.arange(400) % 4)
        for name, (first, second) in CONTRASTS.items()
    }


def test_one_family_over_all_datasets():
    datasets = {"A": made({"clip_it": 0.9}), "B": made({"clip_it": 0.65}), "C": made({})}
    found = attribute(datasets, 0.01)
    pvalues = [tests[name].p_floor for tests in datasets.values() for name in ("method", "text")]
    expected = adjust(pvalues).adjusted
    assert [p for one in found.values() for p in one.holm.values()] == list(expected)
    assert [one.verdict for one in found.values()] == ["reports_helped", "not_shown", "not_shown"]


@pytest.mark.parametrize("missing", ["text", "pairs"])
def test_without_text_or_pairs_it_cannot_be_told(missing):
    tests = made({"clip_it": 0.9})
    del tests[missing]
    found = attribute({"A": tests}, 0.01)["A"]
    assert (found.verdict, found.reason) == ("cannot_tell", f"no runs for the contrast {missing}")
    assert found.holm["method"] < 0.05


def test_two_seeds_cannot_tell_and_say_so():
    found = attribute({"A": made({"clip_it": 0.9}, seeds=2)}, 0.01)["A"]
    assert found.verdict == "cannot_tell"
    assert found.reason == "2 seeds: the crossed test needs at least 3"
    assert not found.holm


def test_a_sure_gain_inside_the_margin_is_still_a_gain():
    """Verdicts are asked in their order: helped before no difference."""
    tests = made({"clip_it": 0.9})
    assert attribute({"A": tests}, 0.9)["A"].verdict == "reports_helped"
    assert attribute({"A": made({})}, 0.9)["A"].verdict == "no_difference"


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(InputError, match="fix a margin above 0"):
        attribute({"A": made({})}, 0.0)
