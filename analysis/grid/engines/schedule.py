"""Which jobs may start, given how the others ended."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Mapping


class Schedule:
    """Keeps, of jobs that need each other, which may start and which never will.

    Args:
        dependencies: For each job, in the order in which jobs are to start, those it depends on.
        finished: The jobs that are finished already; what they need does not matter to them.

    Attributes:
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
        self._position = {job: place for place, job in enumerate(self._jobs)}
        self._missing = {
            job: set(others) - self.finished.keys()
            for job, others in dependencies.items()
            if job not in self.finished
        }
        self._dependants: defaultdict[str, list[str]] = defaultdict(list)
        for job, others in self._missing.items():
            for other in others:
                self._dependants[other].append(job)
        self._ready = [self._position[c] for c, others in self._missing.items() if not others]
        heapq.heapify(self._ready)

    def take(self) -> str | None:
        """Returns the first job that may start, None if none may now."""
        return self._jobs[heapq.heappop(self._ready)] if self._ready else None

    def put_back(self, job: str) -> None:
        """Lets a job that was taken be taken again."""
        heapq.heappush(self._ready, self._position[job])

    def finish(self, job: str) -> None:
        """Notes that a job is finished: others may start."""
        self.finished[job] = None
        for other in self._dependants[job]:
            self._missing[other].remove(job)
            if not self._missing[other]:
                self.put_back(other)

    def fail(self, job: str, why: str) -> None:
        """Notes that a job has failed: those that need it, however indirectly, never start."""
        self.failed[job] = why
        unreachable = list(self._dependants[job])
        while unreachable:
            other = unreachable.pop()
            if other not in self.cancelled:
                self.cancelled[other] = job
                unreachable += self._dependants[other]
