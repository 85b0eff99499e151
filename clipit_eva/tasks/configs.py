"""The shipped eva configs: their names, where they lie and which variables they read."""

import difflib
import functools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from clipit_eva.errors import InputError
from clipit_eva.tasks.card import FOLDER, METHODS, shipped_cards

_VARIABLE = r"\$\{oc\.env:\s*(\w+)"


@functools.cache
def names() -> tuple[str, ...]:
    """Returns the names of the shipped plans (`ablations/paper`) and configs (`clip_it/bach`).

    There is a config of each shipped method for each shipped task.
    """
    plans = [f"ablations/{path.stem}" for path in FOLDER.glob("ablations/*.yaml")]
    methods = [path.stem for path in METHODS.glob("*.yaml")]
    return tuple(sorted(plans + [f"{one}/{task}" for one in methods for task in shipped_cards()]))


def path(name: str, card: Path | None = None) -> Path:
    """Returns the path of a shipped config (`clip_it/bach`), rendered if it is not kept.

    Given a card's file, that of a method (`clip_it`), rendered for the card's task.

    Raises:
        InputError: There is no config or method of this name, or the card is wrong.
    """
    if card is not None:
        return _rendered(name, card)
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known)
        hint = f"did you mean {', '.join(near)}?" if near else "`clipit-eva configs` lists them"
        raise InputError(f"there is no config {name!r}; {hint}")
    kept = FOLDER / f"{name}.yaml"
    method, _, task = name.partition("/")
    return kept if kept.is_file() else _rendered(method, shipped_cards()[task])


def _rendered(method: str, card: Path) -> Path:
    from clipit_eva.tasks.rendering import render_file  # here: most callers need no templates

    return render_file(method, card)


@functools.cache
def variables(config: Path) -> Mapping[str, str]:
    """Returns the environment variables that a config reads, with their defaults (empty: none).

    They stand in it as `${oc.env:NAME, default}`. Those in the default of OUTPUT_ROOT, a mere path,
    are left out.
    """
    text = config.read_text()
    return {name: text[start:end].strip() for name, _, start, end in _mentioned(text)}


def with_values(config: Path, environment: Mapping[str, str]) -> str:
    """Returns a config's text with other defaults: the same run without the variables set.

    Variables of the environment that the config does not read are ignored.
    """
    text = config.read_text()
    for name, whole, start, end in reversed(list(_mentioned(text))):
        if name in environment:
            scalar = f"{text[whole:start]}{as_argument(environment[name])}}}"
            if ": " in scalar or " #" in scalar:
                scalar = json.dumps(scalar)  # as YAML reads it too
            text = f"{text[:whole]}{scalar}{text[end + 1 :]}"
    return text


def resolved(config: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Returns a config's content as eva would read it under an environment, and no other."""
    text = config.read_text()
    for name, whole, start, end in reversed(list(_mentioned(text))):
        default = "null" if name == "OUTPUT_ROOT" else text[start:end].strip() or "null"
        text = f"{text[:whole]}{environment.get(name, default)}{text[end + 1 :]}"
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def command(verb: str, name: str, card: Path | None = None) -> list[str]:
    """Returns the command by which the `eva` of this Python does `fit` or `predict`; see `path`."""
    beside = Path(sys.executable).with_name("eva")
    return [str(beside) if beside.is_file() else "eva", verb, "--config", str(path(name, card))]


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without variables that a shipped config reads."""
    texts = (path.read_text() for path in FOLDER.rglob("*.yaml"))
    read = {name for text in texts for name in re.findall(_VARIABLE, text)}
    read.add("EVA_GLOBAL_SEED")  # eva itself reads it, besides its configs
    return {name: value for name, value in os.environ.items() if name not in read}


def as_argument(value: str) -> str:
    """Returns a value as an argument of a resolver: OmegaConf wants some letters in quotes."""
    if re.fullmatch(r"[\w/.+@*?|-]*|\[[\w., -]*\]", value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _mentioned(text: str) -> Iterator[tuple[str, int, int, int]]:
    """Yields the variables of a config's text, where they stand, and where their defaults do.

    Braces may be nested. Where a variable has no default, its place is empty.
    """
    pattern = re.compile(rf"{_VARIABLE}\s*(?:,\s*)?")
    position = 0
    while match := pattern.search(text, position):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield match[1], match.start(), match.end(), end - 1
        position = end if match[1] == "OUTPUT_ROOT" else match.end()
