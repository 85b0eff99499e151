"""Which jobs may start, given how the others ended."""

import graphlib
import heapq
from collections.abc import Collection, Mapping


class Schedule:
    """Keeps, of jobs that depend on each other, which may start and which never will.

    Args:
        dependencies: For each job, in the order in which jobs are to start, those it depends on,
            which come before it.
        finished: The jobs that are finished already; their dependencies do not matter to them.

    Attributes:
        total: Number of jobs.
        finished: The jobs that are finished, in the order in which that was known.
        failed: For each job that failed, why.
        cancelled: For each job that cannot start any more, the failed job that it depends on.
    """

    def __init__(
        self, dependencies: Mapping[str, Collection[str]], finished: Collection[str]
    ) -> None:
        self.finished = dict.fromkeys(job for job in dependencies if job in finished)
        self.failed: dict[str, str] = {}
        self.cancelled: dict[str, str] = {}
        self._jobs = list(dependencies)
        self.total: int = len(self._jobs)
        self._place = {job: place for place, job in enumerate(self._jobs)}
        self._waits = {
            job: set(others) - self.finished.keys()
            for job, others in dependencies.items()
            if job not in self.finished
        }
        self._sorter = graphlib.TopologicalSorter(self._waits)
        self._sorter.prepare()
        self._ready: list[int] = []

    def take(self) -> str | None:
        """Returns the first job that may start, None if none may now."""
        for job in self._sorter.get_ready():
            self.put_back(job)
        return self._jobs[heapq.heappop(self._ready)] if self._ready else None

    def put_back(self, job: str) -> None:
        """Lets a job that was taken be taken again."""
        heapq.heappush(self._ready, self._place[job])

    def finish(self, job: str) -> None:
        """Notes that a job is finished: others may start."""
        self.finished[job] = None
        self._sorter.done(job)

    def fail(self, job: str, why: str) -> None:
        """Notes that a job has failed: those that depend on it, however indirectly, never start."""
        self.failed[job] = why
        lost = {job}
        for other, waits in self._waits.items():
            if not lost.isdisjoint(waits):
                lost.add(other)
                self.cancelled.setdefault(other, job)
