import json

import numpy as np
import pytest

from clipit_eva.analysis.reading.run_files import find_tables, missing_runs, planned_margin
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.report import Options, write_report
from clipit_eva.errors import InputError

TARGETS = np.arange(12) % 4


@pytest.fixture
def write(write_run):
    """Writes unimodal runs of some seeds in folders of some names; returns the top folder."""

    def make(**seeds):
        for name, seed in seeds.items():
            write_run("unimodal", TARGETS, TARGETS, seed=seed, name=name.replace("__", "/"))
        return write_run.folder

    return make


def plan(folder, *runs):
    (folder / "grid.json").write_text(json.dumps({"runs": runs}))


def seeds(folder):
    return [run.seed for run in read_runs(folder)]


def test_of_a_grid_only_the_runs_of_its_plan_are_read(write):
    folder = write(jobs__a=1, jobs__b=2, jobs__old=1)
    plan(folder, "jobs/a", "jobs/b")
    assert seeds(folder) == [1, 2]
    (folder / "grid.json").unlink()
    assert seeds(folder) == [1, 1, 2]


def test_a_grid_below_the_folder_keeps_its_plan_too(write):
    folder = write(grid__a=1, grid__old=2, other=3)
    plan(folder / "grid", "a")
    assert seeds(folder) == [1, 3]


def test_a_run_may_lie_deeper_or_be_listed_twice(write):
    folder = write(deep__er=1, b=2)
    plan(folder, "deep", "deep/er", "./b/../b")
    assert seeds(folder) == [1, 2]
    assert len(find_tables(folder)) == 2


def test_the_plans_margin_is_read(tmp_path):
    assert planned_margin(tmp_path) is None
    plan(tmp_path)
    assert planned_margin(tmp_path) is None
    for margin in (0.5, "wide", 0):
        (tmp_path / "grid.json").write_text(json.dumps({"runs": [], "margin": margin}))
        if margin == 0.5:
            assert planned_margin(tmp_path) == margin
        else:
            with pytest.raises(InputError, match="no number above 0; run the grid again"):
                planned_margin(tmp_path)


def test_runs_of_the_plan_that_are_not_there_are_named_in_the_report(write, tmp_path):
    folder = write(a=1)
    plan(folder, "a", "not/there")
    (folder / "empty").mkdir()
    assert missing_runs(folder) == [folder / "not/there"]
    page = write_report(folder, tmp_path / "report", Options(n_resamples=1000)).read_text()
    assert "Not finished: 1 run of the grid&#39;s plan (not/there)." in page
    assert missing_runs(folder / "a") == []


def test_a_plan_without_any_finished_run_is_refused(write):
    folder = write(a=1)
    plan(folder, "b")
    with pytest.raises(InputError, match=r"holds no predictions\.parquet"):
        read_runs(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no readable JSON"),
        ("[]", "no list 'runs'"),
        ("{}", "no list 'runs'"),
        ('{"runs": "a"}', "no list 'runs'"),
        ('{"runs": [1]}', "no list 'runs'"),
        ('{"runs": ["."]}', r"lists \., which is no folder below it"),
        ('{"runs": ["a", "b/../../other"]}', r"lists \.\./other, which is no folder below it"),
        ('{"runs": ["/etc"]}', "lists /etc, which is no folder below it"),
    ],
)
def test_a_damaged_plan_is_refused_by_name(write, content, message):
    folder = write(a=1)
    (folder / "grid.json").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_runs(folder)
    assert str(folder / "grid.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_linked_folders_are_not_followed(write):
    folder = write(a=1)
    (folder / "loop").symlink_to(folder)
    assert seeds(folder) == [1]
