"""What other packages add by name: entry points beside our own."""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from clipit_eva.errors import InputError


def list_names(group: str, own: Sequence[metadata.EntryPoint]) -> Mapping[str, str]:
    """Returns the registered names and the package each comes from, without importing any."""
    names = {entry.name: _package(entry) for entry in reversed(_registered(group, own))}
    return dict(sorted(names.items()))


def load(
    group: str, own: Sequence[metadata.EntryPoint], name: str, words: str
) -> tuple[Any, str] | None:
    """Returns what a name stands for and where it is from; None if nobody registers the name.

    Args:
        group: The entry point group.
        own: Our own entry points.
        name: The name.
        words: The name in messages, such as `DISTILLATION=cosine`.

    Returns:
        The object, and `words` with its package.

    Raises:
        InputError: Two packages register the name, or the one that does cannot be imported.
    """
    found = [entry for entry in _registered(group, own) if entry.name == name]
    if not found:
        return None
    packages = [_package(entry) for entry in found]
    if len(packages) > 1:
        raise InputError(f"{words} is registered by {' and '.join(packages)}; uninstall one")
    theirs = f"{words} of package {packages[0]}"
    try:
        return found[0].load(), theirs
    except Exception as error:  # whatever the other package's import brings
        raise InputError(f"{theirs} cannot be imported: {error!r}") from error


def _registered(group: str, own: Sequence[metadata.EntryPoint]) -> list[metadata.EntryPoint]:
    """Returns our own entry points, and those of other packages by the package's name."""
    return [*own, *sorted(metadata.entry_points(group=group), key=_package)]


def _package(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "clipit_eva"
