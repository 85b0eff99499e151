"""Runs a command that must not outlive the process that asked for it.

`python -m clipit_eva.child GRACE COMMAND ...` reads its standard input, on which nothing is ever
sent: when the asking process ends, however it ends (`kill -9` too), its end of the pipe closes, and
the command and all its children are ended. Works on any POSIX system, unlike Linux's parent-death
signal, which is bound to a thread. A command may ask for commands itself: each watcher leads a
session of its own, so that what kills an asking process and its group leaves the watcher to do the
same one level below.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: IO[bytes],
    pass_fds: Sequence[int] = (),
    grace: float = 0,
) -> subprocess.Popen:
    """Starts a command that ends with this process, or when its `stdin` is closed.

    Its environment is the given one alone; output and errors go to the log, an open file. The
    descriptors `pass_fds` stay open until the command and its children have ended, such as that of
    a locked file. `grace` are the seconds that the command gets to end by itself after a SIGTERM;
    its children get none, and 0 means that no SIGTERM is sent.

    Returns the process to wait for; its status is the command's.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "clipit_eva.child", str(grace), *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        pass_fds=tuple(pass_fds),
        start_new_session=True,  # Ctrl-C in a terminal is for the asking process to interpret
    )


def main(grace: float, command: Sequence[str]) -> int:
    """Runs a command until it ends or standard input closes; returns its status."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=False,  # a lock is to last as long as any process of the command
    )
    threading.Thread(target=_end_with_parent, args=(process, grace), daemon=True).start()
    status = process.wait()
    _kill(process)  # children that it left behind
    return status if status >= 0 else 128 - status


def _end_with_parent(process: subprocess.Popen[Any], grace: float) -> None:
    """Waits for the end of standard input, then ends the command and its children."""
    while os.read(0, 1):  # not sys.stdin: its lock would be held when the interpreter exits
        pass
    if grace:
        process.terminate()
        time.sleep(grace)  # cut short by the end of this process, which follows the command's
    _kill(process)


def _kill(process: subprocess.Popen[Any]) -> None:
    """Kills all that is left of a command's process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS refuses for zombies
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]), sys.argv[2:]))
