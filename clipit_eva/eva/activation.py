"""What changes in an `eva` process whose config names a class of ours, and nowhere else.

eva scans no entry points, so the import of our package is the first moment we have, and it comes
before the config's objects are made. eva's own configs never import us and run untouched; neither
does an import elsewhere (a notebook, our own commands) change anything.
"""

import functools
import importlib
import os
import sys
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import exits, mistakes, settings

_BACKBONES = {"clipit_eva/demo_vit": "clipit_eva.demo.demo_backbone:demo_vit"}
"""Backbones of ours, by MODEL_NAME: module and function, imported when one is made."""


def activate_in_eva() -> None:
    """Activates what is meant for `eva` processes, if this is one."""
    if exits.is_eva():
        activate()


@functools.cache
def activate() -> None:
    """Checks settings, ends user's mistakes in one line, records what runs, knows our backbones.

    Once a process. Each is global for want of a narrower place. eva makes the parser and all
    objects itself, before it calls any callback: hence the instantiator, and the hook for errors
    raised there. Log messages and backbones' names go to registries that the libraries keep for
    this.
    """
    import jsonargparse

    from clipit_eva.eva import compat, logs, recorder

    _check_settings()
    compat.watch_parser_errors(_end_as_misread)
    jsonargparse.add_instantiator(recorder.instantiate, object)
    exits.watch()
    logs.forward()
    register_backbones()


def _check_settings() -> None:
    """Ends the process if a variable has a value that cannot be meant."""
    try:
        settings.check_settings(sys.argv, os.environ)
    except InputError as error:  # raised on, it would be one of the parser's errors
        exits.end(error)


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
    """Makes the backbone of `module:function`."""
    module, _, function = where.partition(":")
    return getattr(importlib.import_module(module), function)(**arguments)
