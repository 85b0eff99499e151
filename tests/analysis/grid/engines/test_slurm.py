"""The SLURM engine where there is no SLURM, or only its programs' names."""

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.engines import slurm, slurm_queue
from clipit_eva.analysis.grid.store import Record
from clipit_eva.errors import InputError

ANSWERS = {"sbatch": "exit 1", "squeue": "exit 0", "scancel": "exit 0"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts scripts with some names, and no others, where programs are looked for."""

    def install(scripts: Mapping[str, str]) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


def test_without_slurm_nothing_is_started(make: Any, programs: Any) -> None:
    make.job("job")
    grid = make.grid()
    before = sorted(grid.folder.rglob("*"))
    programs({})
    for call in (lambda: slurm.submit(grid, slurm.read_settings({})), lambda: slurm.cancel(grid)):
        with pytest.raises(InputError, match=r"--engine slurm: s[a-z]+ is not found") as error:
            call()
        assert "\n" not in str(error.value)
    assert sorted(grid.folder.rglob("*")) == before


def test_two_processes_do_not_submit_one_grid_at_once(make: Any, programs: Any) -> None:
    make.job("job")
    grid = make.grid()
    programs(ANSWERS)
    with (grid.folder / "slurm.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process submits the grid"):
            slurm.submit(grid, slurm.read_settings({}))


def test_settings_of_unknown_kinds_and_unknown_jobs_are_refused(make: Any, programs: Any) -> None:
    make.job("job", kind="pairing")
    grid = make.grid()
    programs(ANSWERS)
    with pytest.raises(InputError, match="did you mean pairing"):
        slurm.submit(grid, slurm.read_settings({"kinds": {"pairings": {"gpus": 1}}}))
    with pytest.raises(InputError, match="abc is no job"):
        slurm.submit(grid, slurm.read_settings({}), only=["abc"])


def test_a_controller_that_does_not_answer_is_told_in_one_line(make: Any, programs: Any) -> None:
    make.job("job")
    grid = make.grid()
    programs({**ANSWERS, "squeue": "echo 'slurm_load_jobs error:\nno controller' >&2; exit 1"})
    with pytest.raises(InputError, match=r"squeue does not work: .*no controller") as error:
        slurm.jobs_of(grid)
    assert "\n" not in str(error.value)


def test_jobs_that_squeue_forgot_are_told_by_sacct_or_else_by_the_records(
    make: Any, programs: Any
) -> None:
    jobs = [make.job(name) for name in ("ended", "failed", "gone", "killed", "lost", "never")]
    grid = make.grid()
    for job, status in zip(jobs, (0, 3), strict=False):
        store.write_record(job.folder, Record(status, 1, 0.0, 1.0, "log_1.txt"))
    ids = {job.digest: str(place) for place, job in enumerate(jobs[:5], start=11)}
    slurm_queue.write_registry(grid.folder, ids)
    # The form in which sacct prints with --parsable2.
    programs({**ANSWERS, "sacct": "echo '14|CANCELLED by 1000\n15|RUNNING'"})
    states = {job.name: slurm.jobs_of(grid).get(job.digest) for job in jobs}
    assert {
        name: slurm_job and (slurm_job.id, slurm_job.state) for name, slurm_job in states.items()
    } == {
        "ended": ("11", "COMPLETED"),
        "failed": ("12", "FAILED"),
        "gone": ("13", "GONE"),
        "killed": ("14", "CANCELLED"),
        "lost": ("15", "GONE"),
        "never": None,
    }
    assert not any(slurm_job.is_live for slurm_job in states.values() if slurm_job)


def test_a_job_that_took_the_number_of_a_forgotten_one_is_no_job_of_the_grid(
    make: Any, programs: Any
) -> None:
    """Clusters start again at 1 some day."""
    job = make.job("job")
    grid = make.grid()
    slurm_queue.write_registry(grid.folder, {job.digest: "7"})
    programs({**ANSWERS, "squeue": "echo '7|RUNNING|clipit-0123456789ab-01234567|(null)|None'"})
    assert slurm.jobs_of(grid)[job.digest].state == "GONE"
    assert slurm.cancel(grid) == []
