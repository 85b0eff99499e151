"""What a SLURM job does: it runs one job."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import worker

_TASKS = "SLURM_NTASKS"
"""By this Lightning takes a process for one of several that `srun` started, which no job is.

It is set where the grid was submitted from within a SLURM job.
"""


class JobFailedError(RuntimeError):
    """A job failed: its SLURM job has to fail too, so that SLURM jobs that need it do not start."""


class CancelledError(RuntimeError):
    """SLURM ends the SLURM job: it was cancelled, or its time is up."""


def run(folder: str) -> None:
    """Runs the job of a folder in a SLURM job.

    Args:
        folder: The job's folder.

    Raises:
        JobFailedError: The job failed.
        CancelledError: It was ended from outside. The job counts as not run: no attempt is
            recorded and none follows.
        InputError: See `worker.run_job`.
    """
    # submitit ignores SIGTERM, so that a cancelled job would be tried again until SIGKILL.
    signal.signal(signal.SIGTERM, _end)
    os.environ.pop(_TASKS, None)
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")
    if cpus is not None:  # more threads than CPUs would get in each other's way
        os.environ.setdefault("OMP_NUM_THREADS", cpus)
    status = worker.run_job(Path(folder))
    if status:
        raise JobFailedError(f"{folder} failed with exit status {status}; see its logs")


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise CancelledError(f"the SLURM job was ended by {signal.Signals(number).name}")
