"""Commands that end with the process that asked for them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from clipit_eva import child

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _ends(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not _alive(pid):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("3", 3)])
def test_status_is_the_commands(code, status, tmp_path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process = child.start([sys.executable, "-c", f"raise SystemExit({code})"], os.environ, log)
        assert process.wait(30) == status


def test_output_goes_to_the_log(tmp_path) -> None:
    with (tmp_path / "log").open("wb") as log:
        child.start([sys.executable, "-c", "print('done')"], os.environ, log).wait(30)
    assert (tmp_path / "log").read_text() == "done\n"


def test_command_ends_when_stdin_is_closed(tmp_path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = child.start([sys.executable, "-c", SLEEPER], os.environ, file)
        while not log.read_text():
            time.sleep(0.05)
        process.stdin.close()
        assert process.wait(10) == 128 + signal.SIGKILL
    assert _ends(int(log.read_text()))


def test_command_ends_with_a_killed_parent(tmp_path) -> None:
    log = tmp_path / "log"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys; from clipit_eva import child; "
            f"child.start([sys.executable, '-c', {SLEEPER!r}], os.environ, "
            f"open({str(log)!r}, 'wb')).wait()",
        ]
    )
    while not (log.is_file() and log.read_text()):
        time.sleep(0.05)
    assert _alive(int(log.read_text()))
    parent.kill()
    parent.wait()
    assert _ends(int(log.read_text()))
