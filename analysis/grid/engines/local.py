"""The local engine: jobs as processes of this machine, some at a time."""

import contextlib
import dataclasses
import heapq
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from clipit_eva import child
from clipit_eva.errors import InputError
from clipit_eva.files import one_line_errors

from .. import store
from ..plan.job import Grid, Job
from ..store import Record
from . import devices, worker
from .progress import Progress
from .schedule import Schedule

_WORKER_LOG = "worker.txt"  # what a worker itself prints: nothing, unless something is wrong
_GLANCE = 0.5  # seconds between two looks at other processes' jobs, and at the clock
_GRACE = 5.0  # seconds of a worker, when the driver ends, to record what has just finished
_PATIENCE = 10.0  # seconds of a job's processes to vanish once they are killed


def run_local(
    grid: Grid, parallel: int, *, only: Collection[str] | None = None, progress: bool = True
) -> Schedule:
    """Runs all jobs that are not finished, each after its dependencies.

    A failed job cancels those that need it, which stay as they are; the rest goes on. A later
    call tries failed jobs again. Each of `parallel` slots has a GPU of its own as long as there are
    enough (`CUDA_VISIBLE_DEVICES`) and its share of the cores (`OMP_NUM_THREADS`, unless the
    job's environment sets it).

    All processes end with this one, `kill -9` included. Ctrl-C and SIGTERM end them before this
    function raises. Several calls may work on one folder at once: a job that another process
    runs is waited for while others run, and runs here if that process ends without a record of
    success. Such calls do not share out GPUs and cores between them.

    Args:
        grid: The jobs, as `store.write_grid` wrote them.
        parallel: Number of jobs that run at a time.
        only: Digests of the jobs to run, together with what these need; None means all.
        progress: Show progress and failures on stderr.

    Returns:
        Which jobs are finished, whenever they ran, have failed or were cancelled, by digest.

    Raises:
        InputError: `parallel` is below 1, `only` holds a digest of no job, or a record is damaged.
        KeyboardInterrupt: Ctrl-C.
        SystemExit: SIGTERM; the status is 143.
    """
    if parallel < 1:
        raise InputError(f"parallel is {parallel}; it must be at least 1")
    jobs = grid.with_dependencies(only)
    finished = {digest for digest, job in jobs.items() if store.is_finished(job.folder)}
    schedule = Schedule({digest: job.dependencies for digest, job in jobs.items()}, finished)
    if len(finished) < len(jobs):
        shown = Progress(schedule, progress)
        engine = _Engine(grid, schedule, parallel, shown)
        with contextlib.closing(shown), engine.signals():
            try:
                engine.run()
            finally:
                engine.end()
    return schedule


@dataclasses.dataclass(frozen=True)
class _Started:
    """A worker in a slot, and the record that its job had before."""

    process: subprocess.Popen[bytes]
    slot: int
    earlier: Record | None


class _Engine:
    """Starts workers and waits for them; all but the waiting is done by one thread."""

    def __init__(self, grid: Grid, schedule: Schedule, parallel: int, progress: Progress) -> None:
        gpus = devices.visible_gpus()
        self._shares = [devices.share(slot, parallel, gpus) for slot in range(parallel)]
        self._free = list(range(parallel))
        self._grid = grid
        self._schedule = schedule
        self._progress = progress
        self._running: dict[str, _Started] = {}
        self._elsewhere: set[str] = set()
        self._signal: signal.Signals | None = None
        # What ended and how, or None: a signal came.
        self._events: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Runs what can run, until nothing is left to wait for or a signal comes."""
        while self._signal is None:
            self._start_ready()
            self._progress.update(len(self._running), len(self._elsewhere))
            if not self._running and not self._elsewhere:
                return
            self._wait()
            for digest in [d for d in self._elsewhere if not store.is_locked(self._folder(d))]:
                self._elsewhere.remove(digest)
                self._schedule.put_back(digest)

    def end(self) -> None:
        """Ends all that runs; returns when every process has gone."""
        folders = [self._folder(digest) for digest in self._running]
        for job in self._running.values():
            if job.process.stdin is not None:
                job.process.stdin.close()
        while self._running:
            if (event := self._events.get()) is not None:
                self._running.pop(event[0])
        # A worker that had to be killed is gone before its job's processes, which hold the lock.
        deadline = time.monotonic() + _PATIENCE
        while any(map(store.is_locked, folders)) and time.monotonic() < deadline:
            time.sleep(0.02)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Notes Ctrl-C and SIGTERM, which otherwise strike anywhere; raises at the block's end."""

        def note(number: int, _: object) -> None:
            self._signal = signal.Signals(number)
            self._events.put(None)

        previous = {}
        if threading.current_thread() is threading.main_thread():  # others must not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    previous[number] = signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler or signal.SIG_DFL)
        if self._signal is not None:
            self._progress.say(f"ended by {self._signal.name}; the same call goes on from here")
            if self._signal == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + self._signal)

    def _start_ready(self) -> None:
        while self._free and (digest := self._schedule.take()) is not None:
            folder = self._folder(digest)
            if store.is_finished(folder):  # by another process, meanwhile
                self._schedule.finish(digest)
            elif store.is_locked(folder):
                self._elsewhere.add(digest)
            else:
                self._start(self._grid.jobs[digest])

    def _start(self, job: Job) -> None:
        earlier = store.read_record(job.folder)
        slot = heapq.heappop(self._free)
        path = job.folder / _WORKER_LOG
        with one_line_errors(path), path.open("wb") as log:
            environment = {**os.environ, **self._shares[slot]}
            process = child.start(worker.command(job.folder), environment, log, grace=_GRACE)
        self._running[job.digest] = _Started(process, slot, earlier)
        threading.Thread(
            target=lambda: self._events.put((job.digest, process.wait())), daemon=True
        ).start()

    def _wait(self) -> None:
        """Waits until a worker has ended, a signal came, or it is time for another look."""
        looks = self._elsewhere or self._progress.moves
        with contextlib.suppress(queue.Empty):
            event = self._events.get(timeout=_GLANCE if looks else None)
            if event is not None:
                self._ended(*event)

    def _ended(self, digest: str, status: int) -> None:
        job = self._running.pop(digest)
        heapq.heappush(self._free, job.slot)
        name, folder = self._grid.jobs[digest].name, self._folder(digest)
        record = store.read_record(folder)
        if record is not None and record.is_finished:
            self._schedule.finish(digest)
            self._progress.note(f"{name}, {record.seconds:.0f} s")
        elif record == job.earlier and status == worker.BUSY:
            self._elsewhere.add(digest)
        else:
            if record is None or record == job.earlier:
                record = _record_of_a_dead_worker(folder, status)
            self._schedule.fail(digest, record.message)
            self._progress.say(f"failed: {name}: {record.message} (log: {folder / record.log})")

    def _folder(self, digest: str) -> Path:
        return self._grid.jobs[digest].folder


def _record_of_a_dead_worker(folder: Path, status: int) -> Record:
    """Writes, unless another process has the job, the record that its worker could not write."""
    why = worker.telling_line(folder / _WORKER_LOG)
    message, now = f"its worker ended with status {status}: {why}", time.time()
    record = Record(status or 1, 1, now, now, _WORKER_LOG, message)
    with contextlib.suppress(store.LockedError), store.locked(folder, _PATIENCE):
        if not store.is_finished(folder):
            store.write_record(folder, record)
    return record
