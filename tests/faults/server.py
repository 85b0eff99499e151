"""A process that has imported what commands import, and forks one process a run of a command.

Run: python server.py SHIM

Standard input names a command: `program` (eva or clipit-eva), `arguments`, `environment` (its whole
environment), `folder` (where it runs), `log`. A fork becomes that command; `eva` parses its config,
which takes most of its time and writes nothing. Then each line is a run of the command (`log`, and
the `root` and `state` of `shim.c`), by one more fork, and the answer a line with its status; null
ends the command. A forked process goes on as the program's own interpreter would: same entry point,
same hooks, same exit.
"""

import atexit
import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

PROGRAMS = {"eva": "eva.__main__", "clipit-eva": "clipit_eva.cli"}
NOT_BEFORE = (".slurm", ".search_run")
"""Modules whose libraries may not be there."""

LONGEST = 120
"""Seconds after which a run counts as hanging."""


class Server:
    """Reads commands and runs from a pipe, answers into another."""

    def __init__(self, shim: str) -> None:
        self._shim = ctypes.CDLL(shim)
        self._requests, self._answers = os.dup(0), os.dup(1)

    def answer(self, value: object) -> None:
        os.write(self._answers, f"{json.dumps(value)}\n".encode())

    def commands(self) -> str:
        """Forks for each command; returns in the forks, with the program's name."""
        while command := self._read():
            if not (pid := os.fork()):
                os.chdir(command["folder"])
                os.environ.clear()
                os.environ.update(command["environment"])
                _redirect(command["log"])
                sys.argv = [command["program"], *command["arguments"]]
                if "executable" in command:
                    sys.executable = command["executable"]
                return command["program"]
            os.waitpid(pid, 0)
            self.answer("ended")
        os._exit(0)

    def runs(self) -> None:
        """Forks for each run of this process's command; returns in the forks."""
        self.answer("ready")
        while run := self._read():
            if not (pid := os.fork()):
                os.setsid()
                signal.alarm(LONGEST)
                _redirect(run["log"])
                os.environ.update(FAULT_ROOT=run["root"], FAULT_STATE=run["state"])
                self._shim.fault_arm(run["root"].encode(), run["state"].encode())
                return
            self.answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os._exit(0)

    def _read(self) -> dict[str, Any] | None:
        line = b""  # byte by byte: what follows is for another process
        while not line.endswith(b"\n"):
            if not (byte := os.read(self._requests, 1)):
                return None
            line += byte
        return json.loads(line)


def warm() -> None:
    """Imports what commands import."""
    import clipit_eva
    import clipit_eva.analysis

    for package in (clipit_eva, clipit_eva.analysis):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(NOT_BEFORE):
                importlib.import_module(module.name)
    for name in (*PROGRAMS.values(), "eva.vision", "torch.utils.tensorboard"):
        importlib.import_module(name)


def prepare(program: str, runs: Callable[[], None]) -> None:
    """Forks for runs where the program has done what is the same for all of them."""
    if program != "eva":
        runs()
        return
    from clipit_eva.eva import activation, recorder

    own = recorder.instantiate

    def instantiate(*arguments: Any, **options: Any) -> Any:
        if not begun:
            begun.append(True)
            runs()
        return own(*arguments, **options)

    begun: list[bool] = []
    recorder.instantiate = instantiate  # it makes the config's first object
    activation.activate_in_eva()  # what the import of our package does in an `eva` process


def end_of(main: Callable[[], int | None]) -> NoReturn:
    """Ends as Python does, but for C++ objects, some of which join threads of the server."""
    try:
        try:
            sys.exit(main())
        except Exception:
            status: object = 1
            sys.excepthook(*sys.exc_info())  # ours may raise SystemExit
    except SystemExit as ended:
        status = ended.code
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def _redirect(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for descriptor, own in enumerate((nothing, file, file)):
        os.dup2(own, descriptor)


if __name__ == "__main__":
    server = Server(sys.argv[1])
    warm()
    server.answer("warm")
    name = server.commands()
    prepare(name, server.runs)
    end_of(importlib.import_module(PROGRAMS[name]).main)
