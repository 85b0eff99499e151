"""Grids of trivial cells: each runs a line of Python instead of `eva`."""

import dataclasses
import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.grid.cell import Cell, Grid


@dataclasses.dataclass
class GridMaker:
    """Makes cells that run Python code in `python -c`, and the grid of all cells made so far."""

    folder: Path
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)

    def cell(
        self,
        name: str,
        code: str = "pass",
        *,
        needs: Iterable[Cell] = (),
        environment: Mapping[str, str] | None = None,
        products: Iterable[str] = (),
        kind: str = "trivial",
    ) -> Cell:
        """Adds a cell; its code finds its `work` folder in OUTPUT_ROOT."""
        digest = hashlib.sha256(f"{kind}\0{name}\0{code}".encode()).hexdigest()
        cell = Cell(
            digest=digest,
            kind=kind,
            name=name,
            folder=self.folder / "cells" / f"{kind}-{digest[:12]}",
            command=(sys.executable, "-c", code),
            needs=tuple(need.digest for need in needs),
            products=tuple(products),
        )
        own = {"OUTPUT_ROOT": str(cell.work), **(environment or {})}
        cell = dataclasses.replace(cell, environment=own)
        self.cells[digest] = cell
        return cell

    def grid(self, retries: int = 0) -> Grid:
        """Returns the grid of all cells, which are written to its folder, too."""
        grid = Grid.of(self.folder, self.cells.values())
        store.write_grid(grid, retries)
        return grid


@pytest.fixture
def make(tmp_path: Path) -> GridMaker:
    """Makes trivial cells below `tmp_path / "grid"`."""
    return GridMaker(tmp_path / "grid")
