"""What is shown of a grid."""

from clipit_eva.analysis.grid import status
from clipit_eva.analysis.grid.engines import worker
from clipit_eva.analysis.reading.arms import Arm


def test_states_counts_and_failures_are_shown(make) -> None:
    good = make.job("good")
    bad = make.job("bad", "print('boom'); raise SystemExit(3)")
    make.job("later", dependencies=[bad])
    grid = make.grid()
    worker.run_job(good.folder)
    worker.run_job(bad.folder)
    text = status.render_status(grid)
    lines = text.splitlines()
    assert lines[0].split() == ["state", "attempts", "time", "peak", "memory", "job", "folder"]
    by_name = {line.split()[-2]: line.split()[0] for line in lines[1:4]}
    assert by_name == {"good": "finished", "bad": "failed", "later": "waiting"}
    assert "3 jobs: " in text
    assert "failed: bad: boom" in text
    assert str(bad.folder / "log_1.txt") in text
    assert f"--output {make.folder} --only bad" in text


def test_a_clusters_word_counts_for_jobs_that_are_not_finished(make) -> None:
    good, queued = make.job("good"), make.job("queued")
    grid = make.grid()
    worker.run_job(good.folder)
    jobs = {good.digest: "RUNNING", queued.digest: "PENDING"}
    found = status.states(grid, jobs)
    assert found[good.digest] is status.State.FINISHED
    assert found[queued.digest] == "PENDING"


def test_a_plan_is_listed_with_what_is_there(make) -> None:
    good = make.job("good")
    make.job("next", dependencies=[good], environment={"LORA_TARGETS": "[Linear, Conv2d]"})
    grid = make.grid()
    worker.run_job(good.folder)
    text = status.render_plan(grid, {good.digest: Arm("no_text", "no text")})
    assert "good (finished: reused)\n  arm: no text\n" in text
    assert "next (to run)\n  after good\n" in text
    assert "'LORA_TARGETS=[Linear, Conv2d]'" in text
    assert "2 jobs (2 trivial); 1 finished" in text
