"""What a grid looks like: the plan before it runs, and how far it is."""

import datetime
import shlex
from collections.abc import Iterable, Mapping, Sequence

from ..reading.arms import Arm
from . import store
from .plan.job import Cell, Grid
from .store import State

_HEADER = ("state", "attempts", "time", "peak memory", "cell", "folder")


def states(grid: Grid, jobs: Mapping[str, str] | None = None) -> dict[str, State | str]:
    """Returns how far each cell is, by digest.

    Args:
        grid: The cells.
        jobs: What a cluster says of cells that it knows, by digest, such as `PENDING`.
    """
    found = {digest: store.state_of(cell.folder) for digest, cell in grid.cells.items()}
    jobs = jobs or {}
    return {d: jobs[d] if d in jobs and s is not State.FINISHED else s for d, s in found.items()}


def render_status(grid: Grid, jobs: Mapping[str, str] | None = None) -> str:
    """Returns a table of all cells, counts, and what to do about failures.

    Args:
        grid: The cells.
        jobs: See `states`.
    """
    found = states(grid, jobs)
    rows = [_row(grid.cells[digest], state) for digest, state in found.items()]
    names = [state.value if isinstance(state, State) else state for state in found.values()]
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    failed = [grid.cells[digest] for digest, state in found.items() if state is State.FAILED]
    lines = [_table([_HEADER, *rows]), "", f"{len(rows)} cells: {counts}"]
    return "\n".join([*lines, *failures(failed)])


def failures(cells: Iterable[Cell]) -> list[str]:
    """Returns, for each failed cell, which it is, the line that tells why, and how to rerun it.

    Args:
        cells: Cells that have failed.
    """
    lines = []
    for cell in cells:
        record = store.read_record(cell.folder)
        if record is None:
            continue
        lines += [
            f"failed: {cell.name}: {record.message}",
            f"  log: {cell.folder / record.log}",
            f"  again, alone: clipit-eva ablate PLAN --output {_output(cell)} --only {cell.name}",
        ]
    return lines


def render_plan(grid: Grid, arms: Mapping[str, Arm]) -> str:
    """Returns a table of all cells, their arms and commands, and what is there already.

    Args:
        grid: The cells.
        arms: The arm of each training run, by digest.
    """
    names = {digest: cell.name for digest, cell in grid.cells.items()}
    lines = []
    for cell in grid.cells.values():
        state = store.state_of(cell.folder)
        lines.append(f"{cell.name} ({'finished: reused' if state is State.FINISHED else 'to run'})")
        lines += [f"  also {alias}" for alias in cell.aliases]
        lines += [f"  arm: {arms[cell.digest].label}"] if cell.digest in arms else []
        lines += [f"  after {names[digest]}" for digest in cell.needs if cell.kind != "report"]
        if cell.kind == "report":
            lines.append(f"  after all {len(cell.needs)} training runs")
        lines.append(f"  $ {_command(cell)}")
    kinds = [cell.kind for cell in grid.cells.values()]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    done = sum(store.is_finished(cell.folder) for cell in grid.cells.values())
    return "\n".join([*lines, "", f"{len(kinds)} cells ({counts}); {done} finished"])


def _command(cell: Cell) -> str:
    """Returns a cell's command as it would be typed."""
    variables = [f"{name}={value}" for name, value in sorted(cell.environment.items())]
    return shlex.join([*(["env"] if variables else []), *variables, *cell.command])


def _row(cell: Cell, state: State | str) -> Sequence[str]:
    record = store.read_record(cell.folder)
    word = state.value if isinstance(state, State) else state
    if record is None:
        return word, "", "", "", cell.name, cell.folder.name
    memory = record.facts.get("peak_memory", 0) / 2**30
    time = datetime.timedelta(seconds=round(record.seconds))
    return word, str(record.attempts), str(time), f"{memory:.1f} GiB", cell.name, cell.folder.name


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows as text in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(w.ljust(n) for w, n in zip(r, widths, strict=True)) for r in rows)
    return "\n".join(line.rstrip() for line in lines)


def _output(cell: Cell) -> str:
    """Returns the grid's folder as a cell knows it."""
    return str(cell.folder.parent.parent)
