"""What changes in an `eva` process whose config names a class of ours, and nowhere else.

eva scans no entry points, so the import of our package is the first moment we have, and it comes
before the config's objects are made. eva's own configs never import us and run untouched; neither
does an import elsewhere (a notebook, our own commands) change anything.
"""

import functools
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import compat, exits, mistakes, settings

_CHECK_IMAGE = "clipit_eva.data.image_files:check_image"
"""What refuses an image file that cannot be read as it is."""

_BACKBONES = {"clipit_eva/demo_vit": "clipit_eva.demo.demo_backbone:demo_vit"}
"""Backbones of ours, by MODEL_NAME: module and function, imported when one is made."""


def activate_in_eva() -> None:
    """Activates what is meant for `eva` processes, if this is one."""
    if exits.is_eva():
        try:
            check_variables(sys.argv[1:])
        except InputError as error:
            exits.end(error)
        activate()


def check_variables(arguments: Sequence[str]) -> None:
    """Checks the environment variables that config files read.

    Args:
        arguments: The command's, config files among them.

    Raises:
        InputError: One is set to nothing, which eva would take for a value, or out of range.
    """
    given = [Path(argument.partition("=")[2] or argument) for argument in arguments]
    configs = [path for path in given if path.suffix in (".yaml", ".yml")]
    # jsonargparse may be in a config's folder while it reads it.
    names: set[str] = set()
    for path in filter(Path.is_file, [*configs, *(Path(path.name) for path in configs)]):
        names.update(re.findall(r"\$\{oc\.env:\s*(\w+)", path.read_text(encoding="utf-8")))
    settings.check_settings(names, os.environ)


@functools.cache
def activate() -> None:
    """Checks variables and images, ends mistakes in one line, records, knows our backbones.

    Once a process. Each is global for want of a narrower place. eva makes the parser and all
    objects itself, before it calls any callback: hence the instantiator, and the hook for errors
    raised there. Log messages and backbones' names go to registries that the libraries keep for
    this.
    """
    import jsonargparse

    from clipit_eva.eva import logs, recorder

    compat.watch_parser_errors(_end_as_misread)
    jsonargparse.add_instantiator(recorder.instantiate, object)
    exits.watch()
    logs.forward()
    compat.check_images_of_eva(lambda path: _make(_CHECK_IMAGE, path=path))
    register_backbones()


def _end_as_misread(message: str) -> None:
    """Ends the process with what its parser says in many lines."""
    exits.end(InputError(mistakes.explain_parsing(message)))


@functools.cache
def register_backbones() -> None:
    """Lets eva's `ModelFromRegistry` know our backbones."""
    from eva.vision.models import backbones

    for name, where in _BACKBONES.items():
        backbones.backbone_registry.register(name)(functools.partial(_make, where))


def _make(where: str, **arguments: Any) -> Any:
    """Calls the function `module:function`, imported by then."""
    module, _, function = where.partition(":")
    return getattr(importlib.import_module(module), function)(**arguments)
