import dataclasses
import json

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.plan.expansion import expand
from clipit_eva.analysis.grid.plan.plan_file import read_plan
from clipit_eva.analysis.reading.run_files import planned_margin

PLAN = """
seeds: [1]
tasks: {bach: {}}
backbones: {tiny: {MODEL_NAME: universal/vit_small_patch16_224_random, IN_FEATURES: 384}}
methods: {unimodal: {}}
"""


def grid(tmp_path, margin):
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN + ("" if margin is None else f"margin: {margin}\n"))
    return expand(read_plan(path), tmp_path / "grid")


def test_a_margin_is_recorded_before_runs_are_finished_and_not_after(tmp_path):
    for margin in (None, 1, 0.5):  # it may change as long as nothing is known
        planned = grid(tmp_path, margin)
        store.write_grid(planned, 0)
        assert planned_margin(planned.folder) == margin
        assert store.is_written(planned)
    (run,) = planned.trained()
    run.folder.mkdir(parents=True, exist_ok=True)
    store.write_record(run.folder, store.Record(0, 1, 0.0, 1.0, "log"))
    store.write_grid(grid(tmp_path, 0.5), 0)
    assert planned_margin(planned.folder) == 0.5
    for margin in (1, 0.5):  # changed, and changed back with the results at hand
        store.write_grid(grid(tmp_path, margin), 0)
        assert planned_margin(planned.folder) is None
    (report,) = [job for job in planned.jobs.values() if job.kind == "report"]
    assert report.command[-2:] == ("--margin", "0.5")


def test_a_damaged_grid_is_written_again(tmp_path):
    planned = grid(tmp_path, 0.5)
    for damaged in ("{", "[]"):
        planned.folder.mkdir(exist_ok=True)
        (planned.folder / store.GRID).write_text(damaged)
        assert not store.is_written(planned)
        store.write_grid(planned, 0)
        assert json.loads((planned.folder / store.GRID).read_text())["margin"] == 0.5
        assert not store.is_written(dataclasses.replace(planned, jobs={}))
