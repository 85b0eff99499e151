"""Few labels through the real command."""

import json

import pytest

pytestmark = pytest.mark.slow

FEW = {"LABELS_PER_CLASS": "5", "MAX_STEPS": "4", "VAL_CHECK_INTERVAL": "2"}


@pytest.mark.parametrize("loss", ["cosine", "centred_cosine"])
def test_clip_it_learns_from_unlabelled_images_too(loss, paired_bach, run_eva) -> None:
    finished = run_eva("fit", "clip_it/bach", {**paired_bach, **FEW, "DISTILLATION": loss})
    assert finished.status == 0, finished.output
    assert json.loads(finished.file("results.json").read_text())["metrics"]


@pytest.mark.parametrize("method", ["unimodal", "text_only"])
def test_other_methods_leave_them_out(method, paired_bach, run_eva) -> None:
    steps = {"VAL_CHECK_INTERVAL": "1.0", "LABELS_PER_CLASS": "5"}  # 20 images: one batch of 32
    finished = run_eva("fit", f"{method}/bach", {**paired_bach, **steps})
    assert finished.status == 0, finished.output


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LABELS_PER_CLASS": "1000"}, "LABELS_PER_CLASS=1000: class Benign has"),
        (
            {"LABELS_PER_CLASS": "0"},
            "LABELS_PER_CLASS=0 must be a whole number of at least 1 or null",
        ),
        ({"UNLABELLED": "distill", "DISTILL_WEIGHT": "0"}, "UNLABELLED=distill needs reports"),
        ({"DISTILLATION": "cosinus"}, "DISTILLATION=cosinus is unknown"),
    ],
)
def test_mistakes(variables, words, paired_bach, run_eva) -> None:
    finished = run_eva("fit", "clip_it/bach", {**paired_bach, **variables})
    assert finished.status == 2
    assert words in finished.error
    assert "Traceback" not in finished.output
