"""The schedule against plain definitions, on drawn graphs."""

from hypothesis import given
from hypothesis import strategies as st

from clipit_eva.analysis.grid.engines.schedule import Schedule

# Each job needs some of those before it.
graphs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        *(st.sets(st.integers(0, max(0, c - 1))) if c else st.just(set()) for c in range(n))
    )
)


def drain(schedule: Schedule) -> list[str]:
    return list(iter(schedule.take, None))


def reachable(dependencies: dict[str, set[str]], finished: set[str], failed: str) -> set[str]:
    """Returns the jobs that need a job, by repeated look-up until nothing changes."""
    found = {failed}
    while True:
        more = {c for c in dependencies if c not in finished and dependencies[c] & found} | found
        if more == found:
            return found - {failed}
        found = more


@given(graphs, st.data())
def test_jobs_start_once_and_after_those_they_need(graph, data):
    dependencies = {str(job): {str(other) for other in others} for job, others in enumerate(graph)}
    finished = set(data.draw(st.lists(st.sampled_from(list(dependencies)))))
    bad = data.draw(st.sampled_from([*dependencies, None]))
    schedule = Schedule(dependencies, finished)
    started, running = [], []
    while True:
        taken = drain(schedule)
        assert taken == sorted(taken, key=int)
        for job in taken:
            assert job not in finished
            assert dependencies[job] <= schedule.finished.keys()
        started += taken
        running += taken
        if not running:
            break
        job = running.pop(data.draw(st.integers(0, len(running) - 1)))
        if job == bad:
            schedule.fail(job, "why")
        else:
            schedule.finish(job)
    assert len(started) == len(set(started))
    hit = bad in dependencies and bad not in finished
    lost = reachable(dependencies, finished, bad) if hit else set()
    assert schedule.cancelled == dict.fromkeys(lost, bad)
    assert schedule.failed == ({bad: "why"} if hit else {})
    assert set(schedule.finished) == dependencies.keys() - lost - ({bad} if hit else set())


def test_what_is_put_back_is_taken_again_in_its_place():
    schedule = Schedule({"a": (), "b": ()}, ())
    assert schedule.take() == "a"
    schedule.put_back("a")
    assert drain(schedule) == ["a", "b"]


def test_a_finished_job_does_not_wait_for_what_it_needed():
    schedule = Schedule({"a": (), "b": ("a",), "c": ("b",)}, {"b"})
    assert drain(schedule) == ["a", "c"]
    schedule.fail("a", "why")
    assert schedule.cancelled == {}
