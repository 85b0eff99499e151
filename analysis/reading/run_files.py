"""Where runs lie: every predictions table below a folder, but of a grid only those of its plan."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.predictions.predictions_table import FILENAME

GRID = "grid.json"
"""File in a grid's folder; its `runs` lists the folders of the plan's runs, relative to it.

Jobs of an older plan may lie beside them and must not be read. Its `margin`, if any, is the
equivalence margin that the plan had before any of them was finished.
"""


def find_tables(folder: Path) -> dict[Path, bool]:
    """Returns the predictions tables below a folder, sorted, and which a plan has as methods.

    Args:
        folder: Any folder. In it and below, folders with a `grid.json` hold the runs that it lists
            and no others; those in its `plain` are the methods themselves.

    Raises:
        InputError: A `grid.json` is not as it should be.
    """
    return dict(sorted(_below(folder)))


def missing_runs(folder: Path) -> list[Path]:
    """Returns the folders that a folder's `grid.json` lists and that hold no predictions table."""
    if not (folder / GRID).is_file():
        return []
    return [run for run in _listed(folder) if next(_below(run), None) is None]


def planned_margin(folder: Path) -> float | None:
    """Returns the equivalence margin, in points, that a grid's plan fixed before its runs, or None.

    Raises:
        InputError: The folder's `grid.json` is not as it should be.
    """
    path = folder / GRID
    margin = _content(path).get("margin") if path.is_file() else None
    if margin is not None and not (isinstance(margin, int | float) and margin > 0):
        raise InputError(f"{path} has a margin {margin!r}, no number above 0; run the grid again")
    return margin


def recorded(path: Any, table: Path) -> Iterator[Path]:
    """Yields what there is at a path that the run of a predictions table recorded.

    A relative one is looked for from the working directory, and from the folders above the run.
    """
    if isinstance(path, str):
        places = (folder / path for folder in (Path(), *table.absolute().parents))
        yield from (place for place in places if place.exists())


def _below(folder: Path, plain: bool = False) -> Iterator[tuple[Path, bool]]:
    """Yields the tables in a folder and below; links to folders are not followed."""
    if (folder / GRID).is_file():
        for run, is_plain in _listed(folder).items():
            yield from _below(run, is_plain)
        return
    if (folder / FILENAME).is_file():
        yield folder / FILENAME, plain
    if folder.is_dir():
        for child in sorted(folder.iterdir()):
            if child.is_dir() and not child.is_symlink():
                yield from _below(child, plain)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path} is no readable JSON ({error}); run the grid again") from error
    return content if isinstance(content, dict) else {}


def _listed(folder: Path) -> dict[Path, bool]:
    path = folder / GRID
    content = _content(path)
    runs = content.get("runs")
    if not isinstance(runs, list) or not all(isinstance(run, str) for run in runs):
        raise InputError(f"{path} has no list 'runs' of folders; run the grid again")
    names = [os.path.normpath(run) for run in runs]
    for name in names:
        if os.path.isabs(name) or Path(name).parts[:1] in ((), ("..",)):
            raise InputError(
                f"{path} lists {name}, which is no folder below it; run the grid again"
            )
    plain = {os.path.normpath(str(run)) for run in content.get("plain") or ()}
    return {folder / name: name in plain for name in names}
