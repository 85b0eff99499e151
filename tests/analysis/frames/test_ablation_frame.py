import numpy as np
import pytest

from clipit_eva.analysis.frames.ablation_frame import ablation_frame
from clipit_eva.analysis.frames.scores_frame import scores_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.predictions import predictions_table


def test_ablations_are_variant_minus_full_with_verdicts(comparisons_of_slides):
    comparisons = comparisons_of_slides
    frame = ablation_frame(comparisons, margin_points=0.5)
    assert frame["arm"].tolist() == ["no_text", "no_text"]
    assert (frame["difference_points"] < 0).all()
    assert set(frame["verdict"]) <= {"worse", "inconclusive"}
    wide = ablation_frame(comparisons, margin_points=60)
    assert wide["verdict"].tolist() == ["equivalent", "equivalent"]


@pytest.mark.parametrize("margin", [0.5, 60])
def test_patches_of_unknown_slides_decide_nothing(shared_comparisons, margin):
    frame = ablation_frame(shared_comparisons, margin_points=margin)
    assert frame["verdict"].tolist() == ["inconclusive", "inconclusive"]
    assert set(frame["reason"]) == {"patch-level, optimistic"}


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
    assert len(ablation_frame([comparison])) == 0
    assert "Baseline" in set(scores_frame([comparison])["arm"])
