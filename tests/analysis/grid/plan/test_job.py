"""The order of jobs, and what is no grid."""

from pathlib import Path

import pytest

from clipit_eva.analysis.grid.plan.job import Grid, Job
from clipit_eva.errors import InputError


def _job(name: str, *needs: str, folder: str | None = None) -> Job:
    return Job(name, "test", f"job {name}", Path(folder or name), ("true",), dependencies=needs)


def test_each_job_comes_after_those_it_needs() -> None:
    grid = Grid.of(Path(), [_job("c", "a", "b"), _job("b", "a"), _job("a")])
    assert list(grid.jobs) == ["a", "b", "c"]


def test_a_circle_is_named() -> None:
    with pytest.raises(InputError, match=r"circle: job .* -> job"):
        Grid.of(Path(), [_job("a", "b"), _job("b", "c"), _job("c", "a")])


def test_two_jobs_in_one_folder_are_refused() -> None:
    with pytest.raises(InputError, match="job a and job b write to one folder"):
        Grid.of(Path(), [_job("a", folder="x"), _job("b", folder="x")])


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(InputError, match="job a needs zz"):
        Grid.of(Path(), [_job("a", "zz")])


def test_some_jobs_come_with_all_that_they_need() -> None:
    grid = Grid.of(Path("grid"), [_job("d", "b"), _job("c", "a"), _job("b", "a"), _job("a")])
    assert list(grid.with_dependencies(["d"])) == ["a", "b", "d"]
    assert grid.with_dependencies([]) == {}
    assert grid.with_dependencies(None) == grid.jobs
    with pytest.raises(InputError, match="zz is no job of the grid grid"):
        grid.with_dependencies(["a", "zz"])
