"""What is shown of a grid."""

from clipit_eva.analysis.grid import status
from clipit_eva.analysis.grid.engines import worker
from clipit_eva.analysis.reading.arms import Arm


def test_states_counts_and_failures_are_shown(make) -> None:
    good = make.cell("good")
    bad = make.cell("bad", "print('boom'); raise SystemExit(3)")
    make.cell("later", needs=[bad])
    grid = make.grid()
    worker.run_cell(good.folder)
    worker.run_cell(bad.folder)
    text = status.render_status(grid)
    lines = text.splitlines()
    assert lines[0].split() == ["state", "attempts", "time", "peak", "memory", "cell", "folder"]
    by_name = {line.split()[-2]: line.split()[0] for line in lines[1:4]}
    assert by_name == {"good": "finished", "bad": "failed", "later": "waiting"}
    assert "3 cells: " in text
    assert "failed: bad: boom" in text
    assert str(bad.folder / "log_1.txt") in text
    assert f"--output {make.folder} --only bad" in text


def test_a_clusters_word_counts_for_cells_that_are_not_finished(make) -> None:
    good, queued = make.cell("good"), make.cell("queued")
    grid = make.grid()
    worker.run_cell(good.folder)
    jobs = {good.digest: "RUNNING", queued.digest: "PENDING"}
    found = status.states(grid, jobs)
    assert found[good.digest] is status.State.FINISHED
    assert found[queued.digest] == "PENDING"


def test_a_plan_is_listed_with_what_is_there(make) -> None:
    good = make.cell("good")
    make.cell("next", needs=[good], environment={"LORA_TARGETS": "[Linear, Conv2d]"})
    grid = make.grid()
    worker.run_cell(good.folder)
    text = status.render_plan(grid, {good.digest: Arm("no_text", "no text")})
    assert "good (finished: reused)\n  arm: no text\n" in text
    assert "next (to run)\n  after good\n" in text
    assert "'LORA_TARGETS=[Linear, Conv2d]'" in text
    assert "2 cells (2 trivial); 1 finished" in text
