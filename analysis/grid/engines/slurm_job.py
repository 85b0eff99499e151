"""What a job on SLURM does: it runs one cell."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import worker

_TASKS = "SLURM_NTASKS"
"""By this Lightning takes a process for one of several that `srun` started, which no cell is.

It is set where the grid was submitted from within a job.
"""


class CellFailedError(RuntimeError):
    """A cell failed: its job has to fail too, so that jobs that need it do not start."""


class CancelledError(RuntimeError):
    """SLURM ends the job: it was cancelled, or its time is up."""


def run(folder: str) -> None:
    """Runs the cell of a folder in a job.

    Args:
        folder: The cell's folder.

    Raises:
        CellFailedError: The cell failed.
        CancelledError: The job was ended from outside. The cell counts as not run: no attempt is
            recorded and none follows.
        InputError: See `worker.run_cell`.
    """
    # submitit ignores SIGTERM, so that a cancelled cell would be tried again until SIGKILL.
    signal.signal(signal.SIGTERM, _end)
    os.environ.pop(_TASKS, None)
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")
    if cpus is not None:  # more threads than CPUs would get in each other's way
        os.environ.setdefault("OMP_NUM_THREADS", cpus)
    status = worker.run_cell(Path(folder))
    if status:
        raise CellFailedError(f"{folder} failed with exit status {status}; see its logs")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise CancelledError(f"the job was ended by {signal.Signals(number).name}")
