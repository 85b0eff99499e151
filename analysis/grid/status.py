"""What a grid looks like: the plan before it runs, and how far it is."""

import datetime
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..reading.arms import Arm
from . import store
from .plan.job import Grid, Job
from .store import State

_HEADER = ("state", "attempts", "time", "peak memory", "job", "folder")


def states(grid: Grid, queued: Mapping[str, str] | None = None) -> dict[str, State | str]:
    """Returns how far each job is, by digest.

    Of jobs that are not finished, what a cluster says (`queued`, by digest, such as `PENDING`).
    """
    found: dict[str, State | str] = {}
    for digest, job in grid.jobs.items():
        state = store.state_of(job.folder)
        found[digest] = state if state is State.FINISHED else (queued or {}).get(digest, state)
    return found


def render_status(grid: Grid, queued: Mapping[str, str] | None = None) -> str:
    """Returns a table of all jobs (see `states`), counts, and what to do about failures."""
    found = states(grid, queued)
    rows = [_row(grid.jobs[digest], state) for digest, state in found.items()]
    failed = [grid.jobs[digest] for digest, state in found.items() if state is State.FAILED]
    lines = [_table([_HEADER, *rows]), "", f"{len(rows)} jobs: {_counts(row[0] for row in rows)}"]
    return "\n".join([*lines, *failures(failed)])


def failures(jobs: Iterable[Job]) -> list[str]:
    """Returns, for each failed job, which it is, the line that tells why, and how to rerun it."""
    lines = []
    for job in jobs:
        record = store.read_record(job.folder)
        if record is None:
            continue
        lines += [
            f"failed: {job.name}: {record.message}",
            f"  log: {job.folder / record.log}",
            f"  again, alone: clipit-eva ablate PLAN --output {job.folder.parents[1]} "
            f"--only {job.name}",
        ]
    return lines


def render_plan(grid: Grid, arms: Mapping[str, Arm]) -> str:
    """Returns a table of all jobs, their arms (by digest), commands, and what is there already."""
    names = {digest: job.name for digest, job in grid.jobs.items()}
    lines = []
    for job in grid.jobs.values():
        state = store.state_of(job.folder)
        lines.append(f"{job.name} ({'finished: reused' if state is State.FINISHED else 'to run'})")
        lines += [f"  also {alias}" for alias in job.aliases]
        lines += [f"  arm: {arms[job.digest].label}"] if job.digest in arms else []
        lines += [f"  after {names[digest]}" for digest in job.dependencies if job.kind != "report"]
        if job.kind == "report":
            lines.append(f"  after all {len(job.dependencies)} training runs")
        lines.append(f"  $ {_command(job)}")
    counts = _counts(job.kind for job in grid.jobs.values())
    done = sum(store.is_finished(job.folder) for job in grid.jobs.values())
    return "\n".join([*lines, "", f"{len(grid.jobs)} jobs ({counts}); {done} finished"])


def _counts(words: Iterable[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())


def _command(job: Job) -> str:
    variables = [f"{name}={value}" for name, value in sorted(job.environment.items())]
    return shlex.join([*(["env"] if variables else []), *variables, *job.command])


def _row(job: Job, state: State | str) -> Sequence[str]:
    record = store.read_record(job.folder)
    word = state.value if isinstance(state, State) else state
    if record is None:
        return word, "", "", "", job.name, job.folder.name
    memory = record.facts.get("peak_memory", 0) / 2**30
    time = datetime.timedelta(seconds=round(record.seconds))
    return word, str(record.attempts), str(time), f"{memory:.1f} GiB", job.name, job.folder.name


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(w.ljust(n) for w, n in zip(r, widths, strict=True)) for r in rows)
    return "\n".join(line.rstrip() for line in lines)
