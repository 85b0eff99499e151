import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipit_eva import files
from clipit_eva.analysis.reading.runs import read_run, read_runs
from clipit_eva.errors import InputError

TARGETS = np.arange(12) % 4


def rewrite(path, change) -> None:
    """Changes a written table's rows, keeping its provenance."""
    table = pq.read_table(path)
    rows = change(table.to_pandas())
    changed = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


def test_a_run_is_read_as_it_was_written(write_run):
    predictions = (TARGETS + (TARGETS == 2)) % 4
    run = read_run(write_run("unimodal", TARGETS, predictions, seed=7, sure=0.7))
    assert (run.method, run.backbone, run.dataset) == ("unimodal", "pathology/mahmood_uni", "BACH")
    assert run.replicate == (7, "run_0")
    assert run.predictions.tolist() == predictions.tolist()
    assert run.test_set.targets.tolist() == TARGETS.tolist()
    assert run.test_set.classes == ("a", "b", "c", "d")
    assert run.test_set.names(np.array([3, 0])) == ["class/3.tif", "class/0.tif"]
    np.testing.assert_allclose(run.probabilities.max(axis=1), 0.7, rtol=1e-6)


def test_a_clip_it_run_rests_on_its_fused_branch(write_run):
    run = read_run(write_run("clip_it", TARGETS, TARGETS))
    assert run.method == "clip_it"
    assert (run.predictions == TARGETS).all()


def test_rows_in_another_order_are_put_in_order(write_run):
    plain = write_run("unimodal", TARGETS, TARGETS, name="plain")
    mixed = write_run("unimodal", TARGETS, TARGETS, name="mixed")
    rewrite(mixed, lambda rows: rows.sample(frac=1, random_state=0))
    one, other = read_run(plain), read_run(mixed)
    assert one.test_set.digest == other.test_set.digest
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_runs_are_found_by_their_files_and_share_their_samples(write_run):
    for seed in (2, 1):
        write_run("unimodal", TARGETS, TARGETS, seed=seed, name=f"any/where/{seed}")
    runs = read_runs(write_run.folder)
    assert [run.seed for run in runs] == [1, 2]
    assert runs[0].test_set is runs[1].test_set


def test_predictions_without_a_test_split_are_no_run(write_run):
    path = write_run("unimodal", TARGETS, TARGETS)
    write_run("unimodal", TARGETS, TARGETS, seed=2)
    rewrite(path, lambda rows: rows.assign(split="predict"))
    assert [run.seed for run in read_runs(write_run.folder)] == [2]


@pytest.mark.parametrize("what", ["index", "filename", "target"])
def test_the_digest_tells_test_sets_apart(write_run, what):
    one = read_run(write_run("unimodal", TARGETS, TARGETS, name="one"))
    other = write_run("unimodal", TARGETS, TARGETS, name="other")

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        value = {"index": 12, "filename": "class/11.png", "target": 0}[what]
        return rows.assign(**{what: [*rows[what][:-1], value]})

    rewrite(other, change)
    assert read_run(other).test_set.digest != one.test_set.digest


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no predictions\.parquet"):
        read_runs(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        read_runs(tmp_path / "missing")


def test_a_truncated_file_is_refused_by_name(write_run):
    path = write_run("unimodal", TARGETS, TARGETS)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"predictions\.parquet is damaged or cut off") as caught:
        read_runs(write_run.folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


CHANGES = {
    "outside [0, 1] for sample 0": lambda rows: rows.assign(prob_0=rows["prob_0"] * 1.5),
    "has NaN as a probability of sample 3": lambda rows: rows.assign(
        prob_1=np.where(rows["index"] == 3, np.nan, rows["prob_1"]).astype(np.float32)
    ),
    "of sample 0 that sum to": lambda rows: rows.assign(prob_0=np.float32(0)),
    "has a prediction 9, but 4 classes": lambda rows: rows.assign(prediction=9),
    "predicts class 1 for sample 0, but class 0 is the likeliest": lambda rows: rows.assign(
        prediction=(rows["prediction"] + 1) % 4
    ),
    "has a target -1, but 4 classes": lambda rows: rows.assign(target=-1),
    "has no target for 12 samples": lambda rows: rows.assign(
        target=pd.array([pd.NA] * len(rows), dtype="Int64")
    ),
    "predicts sample 5 twice": lambda rows: pd.concat([rows, rows[rows["index"] == 5]]),
    "lacks column 'filename'": lambda rows: rows.drop(columns="filename"),
    "none of the branches": lambda rows: rows.assign(branch="other"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_table_that_cannot_be_right_is_refused(write_run, message):
    path = write_run("unimodal", TARGETS, TARGETS)
    rewrite(path, CHANGES[message])
    with pytest.raises(InputError) as caught:
        read_run(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_table_without_provenance_is_refused(write_run):
    path = write_run("unimodal", TARGETS, TARGETS)
    files.write_table(pq.read_table(path), path, provenance={})
    with pytest.raises(InputError, match="has no provenance 'config'"):
        read_run(path)
