"""Which arm each training run of a plan will be, told before anything runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.pairing.pairing_table import CONTROLS
from clipit_eva.tasks import configs

from ...reading.arms import Arm, resolve
from ...reading.run_settings import METHOD_OF_BRANCH, settings_of
from .identity import fingerprint
from .job import Cell, Grid

_BRANCHES = {method: branch for branch, method in METHOD_OF_BRANCH.items()}


def planned_arms(grid: Grid) -> dict[str, Arm]:
    """Returns the arm of each training run, by digest.

    Args:
        grid: The jobs of a plan.

    Raises:
        InputError: Two runs of one task, backbone and seed would be one arm: a report could not
            tell them apart.
    """
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in grid.cells.values():
        if cell.kind in _BRANCHES:
            groups.setdefault(_place(cell), []).append(cell)
    found: dict[str, Arm] = {}
    for cells in groups.values():
        runs = [(cell.kind, _settings(cell, grid)) for cell in cells]
        arms = resolve(runs, [is_plain(cell) for cell in cells])
        seen: dict[tuple[Arm, int | None], Cell] = {}
        for cell, arm in zip(cells, arms, strict=True):
            twin = seen.setdefault((arm, cell.seed), cell)
            if twin is not cell:
                raise InputError(
                    f"{twin.name} and {cell.name} would both be the arm {arm.name!r}: nothing that "
                    "they differ in has an effect on results; leave one out"
                )
            found[cell.digest] = arm
    return found


def is_plain(cell: Cell) -> bool:
    """Whether a plan trains a run as the method itself: METHOD/TASK/BACKBONE/seed_N.

    A variation's name stands before the seed.
    """
    return any(name.count("/") == 3 for name in (cell.name, *cell.aliases))


def _place(cell: Cell) -> tuple[str, ...]:
    """Returns a run's task and backbone."""
    return tuple(cell.name.split("/")[1:3])


def _settings(cell: Cell, grid: Grid) -> Mapping[str, Any]:
    """Returns the settings that a run's table will tell."""
    config = RecordedConfig(configs.resolved(Path(cell.command[-1]), cell.environment))
    return settings_of(config, _BRANCHES[cell.kind], _pairing(cell, grid))


def _pairing(cell: Cell, grid: Grid) -> dict[str, Any]:
    """Returns what the provenance of the pairing table that a run reads will say."""
    share = 0.0
    by_kind = {grid.cells[digest].kind: grid.cells[digest] for digest in cell.needs}
    if "replacement" in by_kind:
        replacement = by_kind["replacement"]
        share = float(replacement.command[replacement.command.index("--share") + 1])
        by_kind = {grid.cells[digest].kind: grid.cells[digest] for digest in replacement.needs}
    if "pairing" not in by_kind:
        return {}
    environment = by_kind["pairing"].environment
    policy = environment.get("PAIRING_POLICY", "nearest")
    reports = environment.get("REPORTS", "")
    return {
        "policy": {"name": policy},
        "control": policy if policy in CONTROLS else None,
        "replaced_share": share,
        "reports": {"source": reports, "sha256": fingerprint(Path(reports)) or reports},
    }
