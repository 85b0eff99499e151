"""The shipped eva configs: their names and where they lie."""

import difflib
from importlib import resources
from pathlib import Path

from clipit_eva.errors import InputError

FOLDER = Path(str(resources.files("clipit_eva.benchmark_configs")))
"""The folder of the configs, one subfolder a kind, one file a task."""


def names() -> list[str]:
    """Returns the names of the shipped configs, such as `clip_it/bach`."""
    return sorted(
        path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.yaml")
    )


def path(name: str) -> Path:
    """Returns the path of a shipped config.

    Raises:
        InputError: There is no config of this name.
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known)
        hint = f"did you mean {', '.join(near)}?" if near else "`clipit-eva configs` lists them"
        raise InputError(f"there is no config {name!r}; {hint}")
    return FOLDER / f"{name}.yaml"
