"""Cells of a grid: what runs, with which environment, after what."""

import dataclasses
import graphlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from clipit_eva.errors import InputError

WORK = "work"
"""Folder of a cell that its process writes to."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One process of a grid.

    Attributes:
        digest: SHA-256 hex digest of all that fixes the result; cells of one digest are one cell.
        kind: What it does, such as `pairing` or `clip_it`.
        name: What it is called, such as `clip_it/bach/uni/no_text/seed_1`.
        folder: Where it keeps everything; no other cell writes there.
        command: The program and its arguments.
        environment: Variables that the process gets beside those of the calling one.
        needs: Digests of the cells that have to be finished before.
        products: Patterns, below the folder's `work`, of files that a finished cell has.
        seed: The seed of training, None where there is none.
        aliases: Further names of the same work.
    """

    digest: str
    kind: str
    name: str
    folder: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    seed: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def work(self) -> Path:
        """The folder that the process writes to (its OUTPUT_ROOT)."""
        return self.folder / WORK


@dataclasses.dataclass(frozen=True)
class Grid:
    """The cells of a plan, each after those it needs.

    Attributes:
        folder: Where all cells lie.
        cells: The cells by digest.
    """

    folder: Path
    cells: Mapping[str, Cell]

    def with_needs(self, digests: Collection[str] | None) -> dict[str, Cell]:
        """Returns cells together with all that they need, in the grid's order.

        Args:
            digests: Digests of the cells; None means all.

        Raises:
            InputError: A digest is no cell's.
        """
        if digests is None:
            return dict(self.cells)
        wanted: set[str] = set()
        waiting = list(digests)
        while waiting:
            digest = waiting.pop()
            if digest not in self.cells:
                raise InputError(f"{digest[:12]} is no cell of the grid {self.folder}")
            if digest not in wanted:
                wanted.add(digest)
                waiting += self.cells[digest].needs
        return {digest: cell for digest, cell in self.cells.items() if digest in wanted}

    @staticmethod
    def of(folder: Path, cells: Iterable[Cell]) -> "Grid":
        """Puts cells in an order in which each comes after those it needs.

        Args:
            folder: Where all cells lie.
            cells: The cells, in the order of their names in the plan.

        Raises:
            InputError: Cells need each other in a circle, need an unknown cell, or two of them
                write to one folder.
        """
        known: dict[str, Cell] = {}
        owners: dict[Path, Cell] = {}
        for cell in cells:
            other = owners.setdefault(cell.folder, cell)
            if other.digest != cell.digest or cell.digest in known:
                raise InputError(
                    f"cells {other.name} and {cell.name} write to one folder, {cell.folder}; "
                    "leave one out"
                )
            known[cell.digest] = cell
        for cell in known.values():
            for digest in cell.needs:
                if digest not in known:
                    raise InputError(f"cell {cell.name} needs {digest[:12]}, which is no cell")
        try:
            order = list(
                graphlib.TopologicalSorter({d: c.needs for d, c in known.items()}).static_order()
            )
        except graphlib.CycleError as error:
            names = " -> ".join(known[digest].name for digest in error.args[1])
            raise InputError(f"cells need each other in a circle: {names}") from error
        return Grid(folder, {digest: known[digest] for digest in order})
