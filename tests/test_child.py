"""Commands that end with the process that asked for them."""

import fcntl
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


@pytest.mark.parametrize(
    ("reaction", "status"),
    [
        ("lambda *_: (print('saved', flush=True), sys.exit(7))", 7),
        ("signal.SIG_IGN", 128 + signal.SIGKILL),
    ],
)
def test_command_may_get_time_to_end_by_itself(reaction, status, tmp_path) -> None:
    log = tmp_path / "log"
    code = f"import signal, sys; signal.signal(signal.SIGTERM, {reaction}); {SLEEPER}"
    with log.open("wb") as file:
        process = child.start([sys.executable, "-c", code], os.environ, file, grace=2)
        while not log.read_text():
            time.sleep(0.05)
        began = time.monotonic()
        process.stdin.close()
        assert process.wait(10) == status
    took = time.monotonic() - began
    assert took < 2 if status == 7 else took >= 2
    assert ("saved" in log.read_text()) == (status == 7)


def test_command_of_a_command_ends_with_the_first_one(tmp_path) -> None:
    log = tmp_path / "log"
    inner = (
        "import os, sys; from clipit_eva import child; "
        f"child.start([sys.executable, '-c', {SLEEPER!r}], os.environ, sys.stdout.buffer).wait()"
    )
    with log.open("wb") as file:
        process = child.start([sys.executable, "-c", inner], os.environ, file)
        while not log.read_text():
            time.sleep(0.05)
        process.stdin.close()
        process.wait(10)
    assert _ends(int(log.read_text()))


def test_children_that_a_command_leaves_behind_end_with_it(tmp_path) -> None:
    log = tmp_path / "log"
    leaves = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); "
    leaves += f"import time\nwhile not open({str(log)!r}).read(): time.sleep(0.05)"
    with log.open("wb") as file:
        assert child.start([sys.executable, "-c", leaves], os.environ, file).wait(30) == 0
    assert _ends(int(log.read_text()))


def test_a_lock_lasts_as_long_as_the_command_even_if_its_watcher_is_killed(tmp_path) -> None:
    log, lock = tmp_path / "log", tmp_path / "lock"
    with log.open("wb") as file, lock.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, "-c", SLEEPER]
        process = child.start(command, os.environ, file, pass_fds=[held.fileno()])
        while not log.read_text():
            time.sleep(0.05)
    process.kill()
    process.wait()
    with lock.open("rb") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(log.read_text()), signal.SIGKILL)
        fcntl.flock(other, fcntl.LOCK_EX)


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
