"""Which run a folder holds."""

from pathlib import Path

import pytest

from clipit_eva.errors import InputError
from clipit_eva.export.run import find_run
from clipit_eva.predictions import predictions_table

from .conftest import MakeRun


def test_a_run_is_found_by_its_files(unimodal_run: MakeRun, tmp_path: Path) -> None:
    folder, _ = unimodal_run(tmp_path / "any" / "name")
    for path in (folder, tmp_path):
        run = find_run(path)
        assert run.folder == folder
        assert run.checkpoint == folder / "checkpoints" / "best.ckpt"
        assert run.classes == ["Benign", "InSitu", "Invasive", "Normal"]


def test_the_tested_checkpoint_is_taken(unimodal_run: MakeRun) -> None:
    """With `checkpoint_type: last` it is another one than the best."""
    folder, _ = unimodal_run()
    best = folder / "checkpoints" / "best.ckpt"
    best.rename(folder / "checkpoints" / "last.ckpt")
    best.write_bytes(b"another epoch")
    assert find_run(folder).checkpoint.name == "last.ckpt"


def test_no_run(tmp_path: Path, unimodal_run: MakeRun) -> None:
    with pytest.raises(InputError, match=r"RUN=.* is no folder"):
        find_run(tmp_path / "missing")
    with pytest.raises(InputError, match=r"RUN=.* is no finished run"):
        find_run(tmp_path)
    folder, _ = unimodal_run()
    (folder / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(InputError, match="with a checkpoint"):
        find_run(folder)


def test_several_runs_are_named(tmp_path: Path, unimodal_run: MakeRun) -> None:
    for number in range(2):
        unimodal_run(tmp_path / "session" / f"run_{number}")
    with pytest.raises(InputError, match=r"holds 2 runs; .*: session/run_0, session/run_1$"):
        find_run(tmp_path)


def test_another_checkpoint_is_refused(unimodal_run: MakeRun) -> None:
    folder, _ = unimodal_run()
    (folder / "checkpoints" / "best.ckpt").write_bytes(b"another")
    with pytest.raises(InputError, match="no checkpoint that its predictions were made with"):
        find_run(folder)


def test_a_table_without_configuration_is_refused(unimodal_run: MakeRun) -> None:
    folder, _ = unimodal_run()
    rows, provenance = predictions_table.read_predictions(folder / predictions_table.FILENAME)
    predictions_table.write_predictions(
        rows, folder / predictions_table.FILENAME, {**provenance, "config": {}}
    )
    with pytest.raises(InputError, match="does not tell the run's configuration"):
        find_run(folder)
