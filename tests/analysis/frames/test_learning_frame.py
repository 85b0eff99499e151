import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from clipit_eva.analysis.frames.learning_frame import learning_frame
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather

TARGETS = np.arange(8) % 4


def log(folder, values) -> None:
    with SummaryWriter(str(folder)) as writer:
        for tag, points in values.items():
            for step, value in points:
                writer.add_scalar(tag, value, step, new_style=True)


def test_curves_are_those_of_training_not_of_the_validation_after_it(write_run):
    folder = write_run("unimodal", TARGETS, TARGETS).parent
    curve = [(5, 0.5), (10, 0.25), (15, 0.125)]
    log(folder, {"val/AverageLoss": curve, "val/MulticlassAccuracy": [(5, 0.75)], "other": curve})
    log(folder, {"val/AverageLoss": [(15, 9.0)], "test/AverageLoss": curve * 2})
    frame = learning_frame(gather(read_runs(write_run.folder)))
    loss = frame[frame["quantity"] == "loss"]
    assert list(zip(loss["step"], loss["value"], strict=True)) == curve
    scores = frame[frame["quantity"] == "balanced accuracy"]
    assert scores["value"].tolist() == [pytest.approx(0.75)]
    assert set(frame["arm"]) == {"unimodal"}


def test_runs_without_event_files_have_no_curve(write_run):
    write_run("unimodal", TARGETS, TARGETS)
    assert len(learning_frame(gather(read_runs(write_run.folder)))) == 0
