import numpy as np
import pytest

from clipit_eva import files
from clipit_eva.analysis.reading.arms import Arm, resolve
from clipit_eva.analysis.reading.pairing_facts import pairing_of
from clipit_eva.analysis.reading.runs import read_run
from clipit_eva.pairing.pairing_table import make_pairs, write_pairs

PAIRS = make_pairs("train", ["a"], ["r"], np.zeros((1, 1), int), np.ones((1, 1), np.float32))


@pytest.fixture
def facts(tmp_path):
    """Provenance of a run that was trained with a table of shuffled pairs."""
    write_pairs(PAIRS, tmp_path / "pairs.parquet", {"control": "shuffled"})
    train = {"init_args": {"pairing_table": "pairs.parquet"}}
    return {
        "config": {"data": {"datasets": {"train": train}}, "model": {"init_args": {"lora": {}}}},
        "inputs": {"pairing_table": files.sha256_file(tmp_path / "pairs.parquet")},
    }


def test_the_table_is_found_from_above_the_run_and_names_the_arm(write_run, facts):
    targets = np.arange(8) % 4
    run = read_run(write_run("clip_it", targets, targets, provenance=facts))
    assert run.pairing == {"control": "shuffled"}
    assert resolve([(run.method, run.settings)]) == [Arm("shuffled_pairs", "shuffled pairs")]


def test_a_table_that_changed_or_is_gone_says_nothing(facts, tmp_path):
    run = tmp_path / "runs" / "predictions.parquet"
    assert pairing_of(facts, run) == {"control": "shuffled"}
    write_pairs(PAIRS, tmp_path / "pairs.parquet", {"control": "random"})
    assert pairing_of(facts, run) is None
    (tmp_path / "pairs.parquet").unlink()
    assert pairing_of(facts, run) is None


def test_a_run_that_says_it_itself_is_believed(facts, tmp_path):
    own = {**facts, "pairing": {"replaced_share": 1.0}}
    assert pairing_of(own, tmp_path / "predictions.parquet") == {"replaced_share": 1.0}
