"""How a user's mistake ends an `eva` process: one line on stderr, status 2, no traceback."""

import functools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from clipit_eva.errors import InputError


def end(error: InputError) -> NoReturn:
    """Ends the process as the project's commands do."""
    print(f"clipit-eva: error: {error}", file=sys.stderr)
    raise SystemExit(2)


def watch() -> None:
    """Reports an uncaught InputError in one line; other errors are left to the hook of before."""
    sys.excepthook = functools.partial(_handle_uncaught, sys.excepthook)


def _handle_uncaught(
    previous: Callable[..., object],
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    if isinstance(error, InputError):
        end(error)  # Python takes the status from a hook that raises SystemExit
    previous(kind, error, traceback)
