"""The trials of a search on disk: what was tried, by whom, and what came out.

Processes on one or several machines share a study: a journal, which each extends in its turn. Turns
and workers are told by file locks, which the end of a process frees, `kill -9` included.
"""

import contextlib
import dataclasses
import fcntl
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from .search_settings import Choices, Interval, SearchSettings, Value

_JOURNAL, _TURN, _WORKERS = "journal.log", "journal.lock", "workers"

_INDEX, _WORKER, _VALUES, _MESSAGE = "index", "worker", "values", "message"
"""What is noted with a trial."""

_STATES: dict[TrialState, Literal["waiting", "running", "finished", "failed"]] = {
    TrialState.WAITING: "waiting",
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "finished",
    TrialState.FAIL: "failed",
}


@dataclasses.dataclass(frozen=True)
class Trial:
    """Settings that are tried.

    Attributes:
        index: Its place in the search, from 0; one that is tried again keeps it.
        number: Its number in the study, which counts attempts.
        settings: Values of the variables that are searched.
        state: How far it is.
        values: What came out, one a seed.
        message: Why it failed; empty if it did not.
    """

    index: int
    number: int
    settings: Mapping[str, Value]
    state: Literal["waiting", "running", "finished", "failed"]
    values: tuple[float, ...] = ()
    message: str = ""

    @property
    def value(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))


@contextlib.contextmanager
def open_study(folder: Path, name: str, settings: SearchSettings) -> Iterator["Study"]:
    """Opens a study as a worker, for as long as the block lasts.

    Args:
        folder: Where the study is kept; created if it is not there.
        name: Tells studies of one folder apart: what was tried for another question is no answer.
        settings: The search.
    """
    (folder / _WORKERS).mkdir(parents=True, exist_ok=True)
    turn = Turn(folder / _TURN)
    path = folder / _WORKERS / uuid.uuid4().hex
    with contextlib.ExitStack() as stack:
        with turn:  # nobody may find the file without its lock
            file = stack.enter_context(path.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        stack.callback(path.unlink, missing_ok=True)
        yield Study(folder, name, settings, turn, path.name)


class Study:
    """The trials of a search, as one of its workers sees them; made by `open_study`."""

    def __init__(
        self, folder: Path, name: str, settings: SearchSettings, turn: "Turn", worker: str
    ) -> None:
        self.turn = turn
        self._workers = folder / _WORKERS
        self._worker = worker
        self._settings = settings
        self._distributions = distributions(settings)
        self._asked: dict[int, optuna.Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self.turn:
            _mend(folder / _JOURNAL)
            backend = JournalFileBackend(str(folder / _JOURNAL), lock_obj=self.turn)
            self._study = optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=name,
                direction=settings.direction,
                load_if_exists=True,
            )

    def trials(self) -> list[Trial]:
        """Returns the trials in the order of their indices, each as its last attempt is."""
        return [_plain(trial) for _, trial in sorted(self._latest().items())]

    def retry_failed(self) -> None:
        """Lets failed trials be tried again, unless other workers are about: they may just have."""
        with self.turn:
            if not any(map(self._lives, self._others())):
                for index, trial in sorted(self._latest().items()):
                    if trial.state is TrialState.FAIL:
                        self._enqueue(index, _settings_of(trial))

    def take(self, size: int) -> list[Trial]:
        """Returns the next trials, for this worker to run; none if none is left.

        What they are depends on the sampler's seed, their indices and what has come out before, so
        that a search that is interrupted and resumed tries the same as one that was not.

        Args:
            size: Length of the batches that indices are divided into; what is returned is of one
                batch. At least 1.
        """
        taken: list[Trial] = []
        with self.turn:
            self._reclaim()
            while (index := self._next_index()) is not None:
                if taken and index // size != taken[0].index // size:
                    break
                self._study.sampler = _sampler(self._settings, index)
                asked = self._study.ask(self._distributions)
                asked.set_user_attr(_INDEX, index)
                asked.set_user_attr(_WORKER, self._worker)
                self._asked[asked.number] = asked
                taken.append(Trial(index, asked.number, asked.params, "running"))
        return taken

    def finish(self, trial: Trial, values: Sequence[float]) -> None:
        """Notes what came out of a trial of this worker.

        Args:
            trial: The trial.
            values: One a seed.
        """
        with self.turn:
            self._asked[trial.number].set_user_attr(_VALUES, list(values))
            self._study.tell(trial.number, float(np.mean(values)))

    def fail(self, trial: Trial, message: str) -> None:
        """Notes that a trial of this worker failed, and why."""
        with self.turn:
            self._asked[trial.number].set_user_attr(_MESSAGE, message)
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _latest(self) -> dict[int, FrozenTrial]:
        """Returns the last attempt of each index."""
        attempts = self._study.get_trials(deepcopy=False)
        return {t.user_attrs[_INDEX]: t for t in attempts if _INDEX in t.user_attrs}

    def _next_index(self) -> int | None:
        """Returns the index of the trial that is next: one that waits, or a new one."""
        latest = self._latest()
        waiting = [
            (t.number, index) for index, t in latest.items() if t.state is TrialState.WAITING
        ]
        if waiting:
            return min(waiting)[1]
        return len(latest) if len(latest) < self._settings.trials else None

    def _reclaim(self) -> None:
        """Puts back the trials of workers that have ended without a word."""
        latest = self._latest()
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            # Attempts without a worker: one ended in its turn, before it noted that it has it.
            if self._lives(trial.user_attrs.get(_WORKER, "")):
                continue
            index = trial.user_attrs.get(_INDEX)
            if index is not None and latest[index].number == trial.number:
                self._enqueue(index, _settings_of(trial))
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _enqueue(self, index: int, settings: Mapping[str, Any]) -> None:
        self._study.enqueue_trial(dict(settings), user_attrs={_INDEX: index})

    def _others(self) -> list[str]:
        return [path.name for path in self._workers.iterdir() if path.name != self._worker]

    def _lives(self, worker: str) -> bool:
        """Whether a worker has not ended."""
        if worker == self._worker:
            return True
        path = self._workers / worker
        if not worker or not path.is_file():
            return False
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            path.unlink(missing_ok=True)
        return False


class Turn(JournalFileOpenLock):
    """Lets one process in at a time, until it leaves or ends; it may enter again meanwhile.

    Optuna's own locks are files, which a killed process leaves behind.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._depth = 0
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Waits for the turn."""
        if self._file is None:
            file = self._path.open("ab")
            fcntl.flock(file, fcntl.LOCK_EX)
            self._file = file
        self._depth += 1
        return True

    def release(self) -> None:
        """Leaves, if this is the way out of the outermost block."""
        self._depth -= 1
        if not self._depth and self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _mend(journal: Path) -> None:
    """Cuts off a last line that a full disk or a killed process left unfinished."""
    if journal.is_file():
        content = journal.read_bytes()
        if not content.endswith(b"\n"):
            with journal.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)


def _sampler(settings: SearchSettings, index: int) -> optuna.samplers.BaseSampler:
    """Returns the sampler of one trial: TPE (Bergstra et al., NeurIPS 2011).

    Multivariate, because rank and alpha act by their ratio. Trials that others are running count
    as bad, so that nobody tries next to them.
    """
    seed = int(np.random.SeedSequence((settings.seed, index)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=settings.startup, seed=seed, multivariate=True, constant_liar=True
        )


def distributions(settings: SearchSettings) -> dict[str, BaseDistribution]:
    """Returns a search's space in Optuna's terms."""
    return {name: _distribution(dimension) for name, dimension in settings.space.items()}


def _distribution(dimension: Choices | Interval) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return IntDistribution(int(low), int(high), log, int(step or 1))
    return FloatDistribution(float(low), float(high), log, step)


def _settings_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """Returns an attempt's settings, those that it was told to have if it has not drawn all."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _plain(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    return Trial(
        attributes[_INDEX],
        trial.number,
        _settings_of(trial),
        _STATES[trial.state],
        tuple(attributes.get(_VALUES, ())) if trial.state is TrialState.COMPLETE else (),
        attributes.get(_MESSAGE, "") if trial.state is TrialState.FAIL else "",
    )
