"""The schedule against plain definitions, on drawn graphs."""

from hypothesis import given
from hypothesis import strategies as st

from clipit_eva.analysis.grid.engines.schedule import Schedule

# Each cell needs some of those before it.
graphs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        *(st.sets(st.integers(0, max(0, c - 1))) if c else st.just(set()) for c in range(n))
    )
)


def drain(schedule: Schedule) -> list[str]:
    return list(iter(schedule.take, None))


def reachable(needs: dict[str, set[str]], finished: set[str], failed: str) -> set[str]:
    """Returns the cells that need a cell, by repeated look-up until nothing changes."""
    found = {failed}
    while True:
        more = {c for c in needs if c not in finished and needs[c] & found} | found
        if more == found:
            return found - {failed}
        found = more


@given(graphs, st.data())
def test_cells_start_once_and_after_those_they_need(graph, data):
    needs = {str(cell): {str(other) for other in others} for cell, others in enumerate(graph)}
    finished = set(data.draw(st.lists(st.sampled_from(list(needs)))))
    bad = data.draw(st.sampled_from([*needs, None]))
    schedule = Schedule(needs, finished)
    started, running = [], []
    while True:
        taken = drain(schedule)
        assert taken == sorted(taken, key=int)
        for cell in taken:
            assert cell not in finished
            assert needs[cell] <= schedule.finished.keys()
        started += taken
        running += taken
        if not running:
            break
        cell = running.pop(data.draw(st.integers(0, len(running) - 1)))
        if cell == bad:
            schedule.fail(cell, "why")
        else:
            schedule.finish(cell)
    assert len(started) == len(set(started))
    hit = bad in needs and bad not in finished
    lost = reachable(needs, finished, bad) if hit else set()
    assert schedule.cancelled == dict.fromkeys(lost, bad)
    assert schedule.failed == ({bad: "why"} if hit else {})
    assert set(schedule.finished) == needs.keys() - lost - ({bad} if hit else set())


def test_what_is_put_back_is_taken_again_in_its_place():
    schedule = Schedule({"a": (), "b": ()}, ())
    assert schedule.take() == "a"
    schedule.put_back("a")
    assert drain(schedule) == ["a", "b"]


def test_a_finished_cell_does_not_wait_for_what_it_needed():
    schedule = Schedule({"a": (), "b": ("a",), "c": ("b",)}, {"b"})
    assert drain(schedule) == ["a", "c"]
    schedule.fail("a", "why")
    assert schedule.cancelled == {}
