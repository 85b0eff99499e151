"""The whole method on the synthetic cohort: real `eva` processes, the shipped configs."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

from tqdm import tqdm

from clipit_eva import child
from clipit_eva.demo.cohort import Cohort, make_cohort
from clipit_eva.demo.steps import Step, pairing_step, training_steps
from clipit_eva.errors import InputError
from clipit_eva.files import atomic_path
from clipit_eva.pairing.replacement import replace_in_table
from clipit_eva.tasks import configs

SEEDS = [1, 2, 3]
"""Seeds of training; each trains every method once."""

COHORT_SEED = 1
"""Seed of the cohort."""

JOBS = min(2, os.cpu_count() or 1)
"""Processes at a time: each takes about 1.5 GB, and the demo is to fit into 4."""

_RECORD = "demo.json"


def run_demo(output: Path, replaced_share: float = 0.0, jobs: int | None = None) -> Cohort:
    """Makes the cohort, pairs it, and trains every method for every seed.

    A second call with the same arguments continues where the first one ended, however it ended.

    Args:
        output: The folder of all that the demo writes.
        replaced_share: Share of the images whose paired report is replaced by a random one, in
            [0, 1]; 1 leaves no information in the pairs.
        jobs: Processes at a time; `None` means `JOBS`.

    Returns:
        The cohort's files.

    Raises:
        InputError: The folder holds a demo made otherwise, or a process failed.
    """
    _claim(output, {"replaced_share": replaced_share, "seeds": SEEDS, "cohort_seed": COHORT_SEED})
    with tqdm(total=3 * len(SEEDS) + 2, unit="step", desc="Demo") as progress:
        progress.set_postfix_str("drawing the cohort")
        cohort = _cohort(output)
        progress.update()
        pairing = pairing_step(output, cohort)
        progress.set_postfix_str(pairing.name)
        with _processes() as processes:
            _run(pairing, processes)
        tables = pairing.folder / "clip.parquet", pairing.folder / "bach.parquet"
        replace_in_table(*tables, replaced_share, cohort.reports, cohort.seed)
        progress.update()
        _run_all(training_steps(output, cohort, SEEDS), jobs or JOBS, progress)
    return cohort


def _claim(output: Path, made_with: dict) -> None:
    """Notes what the folder's files are made with, or checks that it is the same."""
    record = output / _RECORD
    if record.is_file():
        if json.loads(record.read_text()) != made_with:
            raise InputError(f"--output {output} holds a demo with other settings; give a new one")
        return
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"--output {output} is not empty and holds no demo; give a new folder")
    with atomic_path(record) as temporary:
        temporary.write_text(json.dumps(made_with))


def _cohort(output: Path) -> Cohort:
    """Makes the cohort; a finished one is drawn again with the same bytes, unless it is marked."""
    folder, mark = output / "cohort", output / "cohort" / "complete"
    if not mark.is_file():
        cohort = make_cohort(folder, COHORT_SEED)
        mark.touch()
        return cohort
    return Cohort(folder / "bach", folder / "reports.parquet", folder / "truth.csv", COHORT_SEED)


def _run_all(steps: list[Step], jobs: int, progress: tqdm) -> None:
    """Runs steps, each after the one it needs, some at a time."""
    waiting = {step.name: step for step in steps}
    done: set[str] = set()
    running: dict[futures.Future, Step] = {}
    with futures.ThreadPoolExecutor(jobs) as pool, _processes() as processes:
        while waiting or running:
            ready = [s for s in waiting.values() if s.after is None or s.after in done]
            for step in ready[: jobs - len(running)]:
                running[pool.submit(_run, waiting.pop(step.name), processes)] = step
            progress.set_postfix_str("; ".join(step.name for step in running.values()))
            finished, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
            for future in finished:
                step = running.pop(future)
                future.result()
                done.add(step.name)
                progress.update()


def _run(step: Step, processes: set[subprocess.Popen]) -> None:
    """Runs one `eva` process to its end, unless its product is there.

    Raises:
        InputError: The process failed; the message names its log.
    """
    if step.done:
        return
    shutil.rmtree(step.folder, ignore_errors=True)  # what an interrupted process left
    step.folder.mkdir(parents=True)
    log = step.folder / "eva.log"
    command = configs.command(step.command, step.config)
    environment = {
        **configs.clean_environment(),
        **step.environment,
        "OUTPUT_ROOT": str(step.folder),
    }
    with log.open("wb") as file:
        process = child.start(command, environment, file)
        processes.add(process)
        status = process.wait()
    processes.discard(process)
    if status or not step.done:
        raise InputError(f"{step.name} failed with status {status}; read {log}")


@contextlib.contextmanager
def _processes() -> Iterator[set[subprocess.Popen]]:
    """Yields a set of processes that are ended if the block is left by an error or Ctrl-C."""
    processes: set[subprocess.Popen] = set()
    try:
        yield processes
    except BaseException:
        for process in list(processes):
            if process.stdin is not None:
                process.stdin.close()
        raise
