"""Which cells may start, given how the others ended."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping


class Schedule:
    """Keeps, of cells that need each other, which may start and which never will.

    Args:
        needs: For each cell, in the order in which cells are to start, the cells that it needs.
        finished: The cells that are finished already; what they need does not matter to them.

    Attributes:
        finished: The cells that are finished, in the order in which that was known.
        failed: For each cell that failed, why.
        cancelled: For each cell that cannot start any more, the failed cell that it needs.
    """

    def __init__(self, needs: Mapping[str, Collection[str]], finished: Collection[str]) -> None:
        self.finished = dict.fromkeys(cell for cell in needs if cell in finished)
        self.failed: dict[str, str] = {}
        self.cancelled: dict[str, str] = {}
        self._cells = list(needs)
        self._position = {cell: place for place, cell in enumerate(self._cells)}
        self._missing = {
            cell: set(others) - self.finished.keys()
            for cell, others in needs.items()
            if cell not in self.finished
        }
        self._dependants: defaultdict[str, list[str]] = defaultdict(list)
        for cell, others in self._missing.items():
            for other in others:
                self._dependants[other].append(cell)
        self._ready = [self._position[c] for c, others in self._missing.items() if not others]
        heapq.heapify(self._ready)

    def take(self) -> str | None:
        """Returns the first cell that may start, None if none may now."""
        return self._cells[heapq.heappop(self._ready)] if self._ready else None

    def put_back(self, cell: str) -> None:
        """Lets a cell that was taken be taken again."""
        heapq.heappush(self._ready, self._position[cell])

    def finish(self, cell: str) -> None:
        """Notes that a cell is finished: others may start."""
        self.finished[cell] = None
        for other in self._dependants[cell]:
            self._missing[other].remove(cell)
            if not self._missing[other]:
                self.put_back(other)

    def fail(self, cell: str, why: str) -> None:
        """Notes that a cell has failed: those that need it, however indirectly, never start."""
        self.failed[cell] = why
        unreachable = list(self._dependants[cell])
        while unreachable:
            other = unreachable.pop()
            if other not in self.cancelled:
                self.cancelled[other] = cell
                unreachable += self._dependants[other]
