"""The order of the rooms: imports point to the left or stay in the room, never in a circle."""

import ast
import collections
import graphlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

ORDER = (
    # What everything may use: errors, files, provenance ...
    "clipit_eva",
    "clipit_eva.eva",
    "clipit_eva.tasks",
    "clipit_eva.reports",
    "clipit_eva.clip",
    "clipit_eva.embeddings",
    "clipit_eva.pairing",
    "clipit_eva.data",
    "clipit_eva.models",
    "clipit_eva.predictions",
    "clipit_eva.export",
    "clipit_eva.demo",
    "clipit_eva.analysis.significance",
    "clipit_eva.analysis.reading",
    "clipit_eva.analysis.metrics",
    "clipit_eva.analysis.leakage",
    "clipit_eva.analysis.frames",
    "clipit_eva.analysis.tables",
    "clipit_eva.analysis.figures",
    "clipit_eva.analysis.pairing",
    "clipit_eva.analysis.report",
    "clipit_eva.analysis.grid",
    "clipit_eva.cli",
)


def _files() -> dict[str, Path]:
    """Returns the file of each module, by its name."""
    found = {}
    for folder, package in (("clipit_eva", "clipit_eva"), ("analysis", "clipit_eva.analysis")):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


FILES = _files()


def _imports(name: str) -> Iterator[str]:
    """Yields the modules of this project that a module imports, wherever in its text."""
    path = FILES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            if whole in FILES or base in FILES:
                yield whole if whole in FILES else base


def _room(module: str) -> str:
    """Returns the room that a module stands in: the longest that begins its name."""
    if module == "clipit_eva.cli":
        return module
    rooms = [room for room in ORDER if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len)


ALLOWED = {
    # The only moment at which an `eva` process can be told of us.
    ("clipit_eva", "clipit_eva.eva.activation"),
}

OLD_NAMES = {"clipit_eva.pairing.row_store", "clipit_eva.demo.settings"}
"""Modules that are where they were for scripts, and hold nothing of their own."""

IMPORTS = {name: sorted({found for found in _imports(name) if found != name}) for name in FILES}


def test_imports_point_to_the_left() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if ORDER.index(_room(other)) > ORDER.index(_room(name)) and (name, other) not in ALLOWED
    ]
    assert not upward


def test_only_the_command_imports_the_demo() -> None:
    users = {
        name
        for name, others in IMPORTS.items()
        if any(_room(other) == "clipit_eva.demo" for other in others)
    }
    assert {_room(name) for name in users} == {"clipit_eva.demo", "clipit_eva.cli"}


def test_no_imports_in_a_circle() -> None:
    # A package's names are found on first use: importing it imports none of its modules.
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_a_module_name_stands_in_one_room() -> None:
    names = collections.Counter(
        name.rpartition(".")[2]
        for name, path in FILES.items()
        if path.name != "__init__.py" and name not in OLD_NAMES
    )
    assert [name for name, count in names.items() if count > 1] == []
