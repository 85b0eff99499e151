"""What changes in an `eva` process once a `clipit_eva` class is named in its config.

eva scans no entry points, so importing a class of ours is the first moment we have. From then on a
user's mistake ends the process with one line and status 2, and the arguments that the trainer, the
model and the data were really made with are kept for the provenance of our files. eva's own
configs never import us and run untouched.
"""

import contextlib
import functools
import sys
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn

import jsonargparse

from clipit_eva.errors import InputError
from clipit_eva.eva import logs

# By identity, since not every object hashes; weakly, so that no run's model or optimizer is kept.
_described: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}
_config: dict[str, Any] = {}


@functools.cache
def activate() -> None:
    """Registers the hooks, once a process."""
    jsonargparse.add_instantiator(_instantiate, object)
    sys.excepthook = functools.partial(_handle_uncaught, sys.excepthook)
    logs.forward()
    import clipit_eva.demo.demo_backbone  # noqa: F401 (registers the demo's backbone in eva)


def config_as_run() -> dict[str, Any]:
    """Returns the arguments that this process's trainer, model and data were made with.

    Taken from the objects' construction, so that overrides and several config files count; empty
    if they were not made by `eva`.
    """
    return dict(_config)


def _instantiate(class_type: type, *args: Any, **kwargs: Any) -> Any:
    """Makes an object for jsonargparse and keeps what it was made with."""
    try:
        with _random_state_kept(class_type):
            instance = class_type(*args, **kwargs)
    except InputError as error:
        # Raised on, it would be lost among the alternatives of a union type.
        _exit(error)
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


def _random_state_kept(class_type: type) -> contextlib.AbstractContextManager[Any]:
    """Keeps the random numbers that a backbone's construction draws from changing those after it.

    A run from embeddings, which loads no backbone, then has the numbers of one from images.
    """
    import torch
    from eva.core.models.wrappers import BaseModel

    if issubclass(class_type, BaseModel):
        return torch.random.fork_rng(devices=[])
    return contextlib.nullcontext()


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


def _exit(error: InputError) -> NoReturn:
    """Ends the process as the project's commands do: one line, status 2."""
    print(f"clipit-eva: error: {error}", file=sys.stderr)
    raise SystemExit(2)


def _handle_uncaught(
    previous: Callable[..., object],
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """Reports an uncaught InputError in one line; leaves other errors to the previous hook."""
    if isinstance(error, InputError):
        _exit(error)  # Python takes the status from a hook that raises SystemExit
    previous(kind, error, traceback)
