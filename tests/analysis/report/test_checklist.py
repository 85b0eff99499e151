"""Training settings and the checklist, from what runs record; errors, from their predictions."""

import numpy as np
import pandas as pd

from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather
from clipit_eva.analysis.report import checklist, training_settings
from clipit_eva.analysis.report.errors_table import write_errors
from clipit_eva.tasks import configs


def test_settings_are_those_of_a_shipped_config(write_run):
    targets = np.arange(40) % 4
    config = configs.resolved(configs.path("clip_it/bach"), {})
    write_run("clip_it", targets, targets, provenance={"config": config})
    (comparison,) = gather(read_runs(write_run.folder))
    (row,) = training_settings.frame([comparison]).to_dict("records")
    assert row["selected"] == "max val/MulticlassAccuracy"
    assert row["validation"] == "hold_out train"
    assert row["optimizer"] == "Adam lr 0.001 weight_decay 0.0001"
    assert row["lora"] == "rank 16 alpha 8 vision True text False"
    assert (row["batch_size"], row["max_steps"], row["patience"]) == ("64", "12500", "50")
    assert row["distillation"] == "cosine distill_weight 1.0"
    assert row["n_validation"] is None
    shown = training_settings.table(training_settings.frame([comparison])).shown
    assert shown["validation images"].tolist() == ["-"]


def test_the_checklist_is_filled_where_runs_tell_and_says_author_elsewhere(shared_comparisons):
    rows = checklist.frame(shared_comparisons).set_index("topic")["known"]
    assert rows["title, abstract, background, objectives"] == "author"
    assert "BACH 120 (slides unknown; 3 seeds)" in rows["partitions"]
    assert "BACH: a 30, b 30, c 30, d 30" in rows["class imbalance"]
    assert rows["missing data"].startswith("0 predictions of 24 runs were no numbers")
    assert rows["selection of the final model"].count("not recorded, on an unknown number") == 2
    assert "scikit-learn" in rows["software"]
    assert rows.notna().all()


def test_every_sample_stands_there_with_each_arms_vote(shared_comparisons, tmp_path):
    one = shared_comparisons[0]
    path = write_errors(one, tmp_path)
    assert path == tmp_path / "errors" / "bach_uni.csv"
    rows = pd.read_csv(path)
    assert rows["index"].tolist() == one.samples.index.tolist()
    assert rows["filename"].tolist() == one.samples.filenames.to_pylist()
    assert rows["target"].tolist() == [one.samples.classes[t] for t in one.targets]
    for arm in one.runs:
        given = one.predictions(arm.name)
        modes = pd.DataFrame(given).mode().iloc[0].astype(int)  # ties: the lowest comes first
        assert rows[arm.name].tolist() == [one.samples.classes[name] for name in modes]
        assert rows[f"{arm.name}_right"].tolist() == (given == one.targets).sum(axis=0).tolist()
        assert set(rows[f"{arm.name}_seeds"]) == {3}
