"""What an `eva` process's trainer, model and data were really made with.

Taken from the construction of the objects, so that overrides and several config files count.
"""

import contextlib
import functools
import weakref
from collections.abc import Mapping
from typing import Any

import jsonargparse

from clipit_eva.errors import InputError
from clipit_eva.eva import backbones, compat, exits, mistakes

# By identity, since not every object hashes; weakly, so that no run's model or optimizer is kept.
_described: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}
_config: dict[str, Any] = {}


def config_as_run() -> dict[str, Any]:
    """Returns the arguments that this process's trainer, model and data were made with.

    Empty if they were not made by `eva`.
    """
    return dict(_config)


def complete(path: str, value: Any) -> None:
    """Records what an object was given after its making, as if the config had named it.

    Nothing is recorded of objects that `eva` did not make.

    Args:
        path: The argument, such as `data.datasets.test.transforms`.
        value: Its value, JSON-serialisable.
    """
    role, *names, last = path.split(".")
    part: Any = _config.get(role)
    for name in names:
        part = part and part.get("init_args", part).get(name)
    if isinstance(part, Mapping):
        part.get("init_args", part)[last] = value


def instantiate(class_type: type, *args: Any, **kwargs: Any) -> Any:
    """Makes an object for jsonargparse and keeps what it was made with."""
    try:
        kwargs = backbones.fill(class_type, kwargs)
        with compat.random_state_kept(class_type), mistakes.construction(class_type, kwargs):
            instance = class_type(*args, **kwargs)
    except InputError as error:
        # Raised on, it would be lost among the alternatives of a union type.
        exits.end(error)
    compat.keep_frozen(instance)
    description = {
        "class_path": f"{class_type.__module__}.{class_type.__qualname__}",
        "init_args": {name: _describe(value, name) for name, value in kwargs.items()},
    }
    with contextlib.suppress(TypeError):  # some built-in types take no weak reference
        _described[id(instance)] = (weakref.ref(instance), description)
    role = _role(class_type)
    if role is not None:
        _config[role] = description
        _described.clear()
    return instance


def _role(class_type: type) -> str | None:
    """Returns the argument of `eva fit` that a class's instance is, if any."""
    from eva.core.data.datamodules import DataModule
    from eva.core.models.modules import ModelModule
    from eva.core.trainers import Trainer

    roles = {"trainer": Trainer, "model": ModelModule, "data": DataModule}
    return next((role for role, base in roles.items() if issubclass(class_type, base)), None)


def _describe(value: Any, name: str) -> Any:
    """Returns an argument as JSON-serialisable data."""
    if isinstance(value, str) and "token" in name.lower() and "tokenizer" not in name.lower():
        return "***"  # a secret; numbers of that name, such as `reg_tokens`, are none
    if value is None or isinstance(value, bool | int | float | str):
        return value
    reference, description = _described.get(id(value), (lambda: None, None))
    if reference() is value:
        return description
    if isinstance(value, jsonargparse.Namespace):
        value = value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): _describe(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_describe(item, name) for item in value]
    if isinstance(value, functools.partial):
        return {
            "class_path": _path(value.args[0] if value.args else value.func),
            "init_args": _describe(value.keywords, name),
        }
    return _path(value)


def _path(value: Any) -> str:
    """Returns the import path of a class or function, or of an object's class."""
    owner = value if hasattr(value, "__qualname__") else type(value)
    return f"{owner.__module__}.{owner.__qualname__}"
