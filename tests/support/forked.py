"""Runs `eva` and `clipit-eva` in children of one process that has imported them.

A child starts in milliseconds instead of seconds and then does what the installed script does: the
command's `main`, and Python's own end of a process (exit status, hooks, `atexit`).

Run by `ForkServer` only: python forked.py
"""

import atexit
import contextlib
import dataclasses
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_MAINS = {"eva": "eva.__main__", "clipit-eva": "clipit_eva.cli"}
"""Module of each script's `main`."""

_IMPORTED = (
    "eva.__main__",
    "eva.vision.data.datasets",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "torch.utils.tensorboard",
    "torchmetrics.classification",
    "open_clip",
    "peft",
    "clipit_eva.cli",
    "clipit_eva.analysis.grid.ablate",
    "clipit_eva.analysis.pairing.inspection",
    "clipit_eva.analysis.report.report_files",
    "clipit_eva.clip.loading",
    "clipit_eva.data.embedded",
    "clipit_eva.data.hold_out",
    "clipit_eva.data.image_folder",
    "clipit_eva.data.paired",
    "clipit_eva.data.paired_text",
    "clipit_eva.export.command",
    "clipit_eva.models.clipit_module",
    "clipit_eva.models.trained",
    "clipit_eva.pairing.pairing_writer",
    "clipit_eva.predictions.predictions_writer",
)
"""What the commands import sooner or later."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        status: Its exit status; negative if a signal ended it.
        output: What it printed, stdout and stderr in the order of printing.
    """

    status: int
    output: str


def _environment() -> dict[str, str]:
    """Returns the variables that every command has."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


class ForkServer:
    """The process whose children run commands, one at a time.

    Attributes:
        environment: The variables that every command has.
    """

    def __init__(self) -> None:
        self.environment = _environment()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        variables: Mapping[str, str] | None = None,
        seconds: int = 120,
    ) -> Ended:
        """Runs a command in a folder.

        Args:
            arguments: The script's name and its arguments.
            folder: Its working directory.
            variables: Its environment, besides PATH, HOME and LANG.
            seconds: After which it is killed.
        """
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
            order = {
                "arguments": list(arguments),
                "folder": str(folder),
                "environment": {**self.environment, **(variables or {})},
                "output": output.name,
                "seconds": seconds,
            }
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the server has ended"
            return Ended(json.loads(answer), output.read())

    def close(self) -> None:
        """Ends the server."""
        self._process.communicate()


def run_process(
    arguments: Sequence[str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    seconds: int = 120,
) -> Ended:
    """Does the same as `ForkServer.run` in a process that starts from nothing."""
    name, *rest = arguments
    process = subprocess.run(
        [str(Path(sys.executable).with_name(name)), *rest],
        env={**_environment(), **(variables or {})},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
    )
    return Ended(process.returncode, process.stdout)


@contextlib.contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A server that ends with the block."""
    server = ForkServer()
    try:
        yield server
    finally:
        server.close()


def _serve() -> Callable[[], Any]:
    """Forks a child an order until there are no more; returns in children: what they are to do."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is no answer
    for name in _IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            return _become(order)
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()
    raise SystemExit(0)


def _become(order: dict[str, Any]) -> Callable[[], Any]:
    """Makes a child what a new process of a command would be; returns the command's `main`."""
    signal.alarm(order["seconds"])
    output = os.open(order["output"], os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    atexit._clear()  # what the server's imports want done when the server ends
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        sys.path.insert(0, entry)
        if (site := Path(entry) / "sitecustomize.py").is_file():
            runpy.run_path(str(site))
    name, *arguments = order["arguments"]
    sys.argv[:] = [str(Path(sys.executable).with_name(name)), *arguments]
    # eva's process imports the package when a config names it; what it does then, it does here.
    del sys.modules["clipit_eva"]
    return importlib.import_module(_MAINS[name]).main


def _end(main: Callable[[], Any]) -> NoReturn:
    """Ends a child as Python ends a script `sys.exit(main())`.

    Python's own end would wait for threads of libraries that only the server has.
    """
    status: Any = 1
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        status = _status_of_hook(error)
    atexit._run_exitfuncs()
    if isinstance(status, str):
        print(status, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def _status_of_hook(error: BaseException) -> Any:
    """Returns the exit status of an error that nothing caught."""
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as end:
        return end.code
    return 1


if __name__ == "__main__":
    _end(_serve())
