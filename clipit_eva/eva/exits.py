"""How a user's mistake ends an `eva` process: one line on stderr, status 2, no traceback."""

import atexit
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from clipit_eva.errors import InputError
from clipit_eva.eva import mistakes

_failures: list[InputError] = []
"""What failed while the process went on."""


def is_eva() -> bool:
    """Whether this process runs eva's command: `eva` or `python -m eva`."""
    program = Path(sys.argv[0])
    return program.stem == "eva" or program.parts[-2:] == ("eva", "__main__.py")


def end(error: InputError) -> NoReturn:
    """Ends the process as the project's commands do."""
    sys.stdout.flush()  # in a file or pipe, too, the error is the last line
    print(f"clipit-eva: error: {error}", file=sys.stderr)
    raise SystemExit(2)


def fail_at_end(error: InputError) -> None:
    """Lets an `eva` process go on with its other runs, and end as failed.

    Raises:
        InputError: The process is none of eva's: whoever called is to know at once.
    """
    if not is_eva():
        raise error
    if not _failures:
        atexit.register(_end_as_failed)
    _failures.append(error)


def _end_as_failed() -> None:
    """Ends the process: eva would end it as if all was well."""
    print(f"clipit-eva: error: {_failures[0]}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)  # at exit, Python ignores a SystemExit


def watch() -> None:
    """Reports a user's mistake in one line; other errors are left to the hook of before."""
    sys.excepthook = functools.partial(_handle_uncaught, sys.excepthook)


def _handle_uncaught(
    previous: Callable[..., object],
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    if isinstance(error, InputError):
        end(error)  # Python takes the status from a hook that raises SystemExit
    if _failures:  # eva has no statistics of NaN
        raise SystemExit(2)
    if explanation := mistakes.explain(error, traceback):
        end(InputError(explanation))
    previous(kind, error, traceback)
