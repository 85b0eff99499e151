"""The order of cells, and what is no grid."""

from pathlib import Path

import pytest

from clipit_eva.analysis.grid.plan.job import Cell, Grid
from clipit_eva.errors import InputError


def _cell(name: str, *needs: str, folder: str | None = None) -> Cell:
    return Cell(name, "test", f"cell {name}", Path(folder or name), ("true",), needs=needs)


def test_each_cell_comes_after_those_it_needs() -> None:
    grid = Grid.of(Path(), [_cell("c", "a", "b"), _cell("b", "a"), _cell("a")])
    assert list(grid.cells) == ["a", "b", "c"]


def test_a_circle_is_named() -> None:
    with pytest.raises(InputError, match=r"circle: cell .* -> cell"):
        Grid.of(Path(), [_cell("a", "b"), _cell("b", "c"), _cell("c", "a")])


def test_two_cells_in_one_folder_are_refused() -> None:
    with pytest.raises(InputError, match="cell a and cell b write to one folder"):
        Grid.of(Path(), [_cell("a", folder="x"), _cell("b", folder="x")])


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(InputError, match="cell a needs zz"):
        Grid.of(Path(), [_cell("a", "zz")])


def test_some_cells_come_with_all_that_they_need() -> None:
    grid = Grid.of(Path("grid"), [_cell("d", "b"), _cell("c", "a"), _cell("b", "a"), _cell("a")])
    assert list(grid.with_needs(["d"])) == ["a", "b", "d"]
    assert grid.with_needs([]) == {}
    assert grid.with_needs(None) == grid.cells
    with pytest.raises(InputError, match="zz is no cell of the grid grid"):
        grid.with_needs(["a", "zz"])
