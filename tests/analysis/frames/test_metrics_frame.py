"""Scores of arms and contrasts with their intervals, and temperatures from validation samples."""

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.metrics import confusion_matrix, f1_score

from clipit_eva.analysis.frames.metrics_frame import metrics_by_class_frame, metrics_frame
from clipit_eva.analysis.metrics.scores import calibration
from clipit_eva.analysis.metrics.temperature import fit_temperature, scaled
from clipit_eva.analysis.reading.runs import read_runs, validation_of
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.significance import crossed_test
from clipit_eva.analysis.tables.metrics_tables import metrics, metrics_by_class
from clipit_eva.predictions import predictions_table


def row(frame, label, **where):
    """The one row of a label on the first dataset."""
    chosen = frame[(frame["dataset"] == "BACH") & (frame["label"] == label)]
    for name, value in where.items():
        chosen = chosen[chosen[name] == value]
    (found,) = chosen.to_dict("records")
    return found


def keep_validation(path, checkpoint=None, sureness=3.0, seed=0):
    """Writes validation predictions beside a run's, of a model that is too sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(400, 4))
    targets = np.array([rng.choice(4, p=p) for p in special.softmax(logits, axis=1)])
    probabilities = special.softmax(sureness * logits, axis=1).astype(np.float32)
    rows, made = predictions_table.read_predictions(path)
    branch = rows["branch"].iloc[0]
    names = [f"{place}.tif" for place in range(400)]
    rows = predictions_table.make_rows("val", branch, range(400), names, targets, probabilities)
    made = {**made, "checkpoint": checkpoint or made["checkpoint"]}
    beside = path.with_name("predictions-val.parquet")
    predictions_table.write_predictions(rows, beside, made)
    return probabilities, targets


def test_arms_have_their_means_and_contrasts_their_differences(shared_comparisons):
    frame = metrics_frame(shared_comparisons)
    one = shared_comparisons[0]
    found = {label: row(frame, label) for label in ("CLIP-IT", "unimodal", "method")}
    for label, arm in (("CLIP-IT", "clip_it"), ("unimodal", "unimodal")):
        each = [f1_score(one.targets, given, average="macro") for given in one.predictions(arm)]
        assert found[label]["macro_f1"] == pytest.approx(np.mean(each))
        assert not found[label]["is_contrast"]
    gain = found["CLIP-IT"]["macro_f1"] - found["unimodal"]["macro_f1"]
    assert found["method"]["macro_f1"] == pytest.approx(gain)
    assert found["method"]["macro_f1_low"] < gain < found["method"]["macro_f1_high"]
    assert found["method"]["is_contrast"]
    # No validation predictions: nothing is scaled, and nothing is made up.
    assert frame[["ece_scaled", "temperature"]].isna().all(axis=None)
    shown = metrics(frame, shared_comparisons).shown
    assert set(shown["ECE, scaled [95% CI]"]) == {"-"}
    assert shown["AUROC [95% CI]"].str.match(r"^[+-]?[01]\.\d{3} \[").all()


def test_sensitivity_and_specificity_are_those_of_the_confusion_matrix(shared_comparisons):
    frame = metrics_by_class_frame(shared_comparisons)
    one = shared_comparisons[0]
    matrices = [confusion_matrix(one.targets, given) for given in one.predictions("clip_it")]
    for number, name in enumerate("abcd"):
        own = row(frame, "CLIP-IT", **{"class": name})
        right = [matrix[number, number] / matrix[number].sum() for matrix in matrices]
        others = [np.delete(matrix, number, axis=0) for matrix in matrices]
        spared = [1 - other[:, number].sum() / other.sum() for other in others]
        assert own["sensitivity"] == pytest.approx(np.mean(right))
        assert own["specificity"] == pytest.approx(np.mean(spared))
        assert own["n_samples"] == (one.targets == number).sum()
    # The interval of a sensitivity is the primary test's, on the samples of the class.
    mine = one.targets == 1
    sides = [one.right(arm)[:, mine] for arm in ("clip_it", "unimodal")]
    test = crossed_test(*sides)
    own = row(frame, "method", **{"class": "b"})
    assert own["sensitivity"] == pytest.approx(test.estimate)
    assert (own["sensitivity_low"], own["sensitivity_high"]) == pytest.approx(test.ci95_floor)
    shown = metrics_by_class(frame, shared_comparisons).shown
    assert len(shown) == len(frame)


def test_temperatures_are_fitted_on_the_validation_samples_of_each_run(study_folder):
    tables = [run.path for run in read_runs(study_folder) if run.method != "text_only"]
    kept = {path: keep_validation(path, seed=place) for place, path in enumerate(tables)}
    (one, *_) = comparisons = gather(read_runs(study_folder))
    own = row(metrics_frame(comparisons), "CLIP-IT")
    runs = next(runs for arm, runs in one.runs.items() if arm.name == "clip_it")
    fitted = [fit_temperature(*kept[run.path]) for run in runs]
    assert own["temperature"] == pytest.approx(np.mean(fitted))
    assert 2 < own["temperature"] < 4
    pairs = zip(runs, fitted, strict=True)
    errors = [calibration(scaled(run.probabilities, t), one.targets).ece for run, t in pairs]
    assert own["ece_scaled"] == pytest.approx(np.mean(errors))
    # Text-only runs kept none.
    assert pd.isna(row(metrics_frame(comparisons), "text only")["ece_scaled"])


def test_validation_predictions_of_another_checkpoint_are_not_taken(study_folder):
    run = read_runs(study_folder)[0]
    keep_validation(run.path)
    assert validation_of(run) is not None
    keep_validation(run.path, checkpoint="another")
    assert validation_of(run) is None
