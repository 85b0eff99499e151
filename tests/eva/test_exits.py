"""How a user's mistake ends a process."""

import subprocess
import sys
from pathlib import Path

import pytest

from clipit_eva.errors import InputError
from clipit_eva.eva import exits


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.slow
def test_mistakes_end_in_one_line_and_other_errors_in_a_traceback() -> None:
    start = "from clipit_eva import errors\nfrom clipit_eva.eva import exits\nexits.watch()\n"
    ours = python(f"{start}raise errors.InputError('REPORTS is not set;\\n give a file')")
    assert ours.returncode == 2
    assert ours.stderr.splitlines()[-1] == ("clipit-eva: error: REPORTS is not set; give a file")
    assert "Traceback" not in ours.stderr
    theirs = python(f"{start}raise ValueError('a bug')")
    assert theirs.returncode == 1
    assert "Traceback" in theirs.stderr
    assert "ValueError: a bug" in theirs.stderr


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/usr/bin/eva", True),
        ("/x/site-packages/eva/__main__.py", True),
        ("/usr/bin/clipit-eva", False),
        ("/usr/bin/pytest", False),
        ("", False),
        ("-c", False),
    ],
)
def test_the_command_of_eva_is_known(
    monkeypatch: pytest.MonkeyPatch, program: str, expected: bool
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "fit"])
    assert exits.is_eva() is expected


@pytest.mark.slow
def test_an_eva_process_goes_on_and_ends_as_failed(tmp_path: Path) -> None:
    program = tmp_path / "eva"
    program.write_text(
        "from clipit_eva import errors\nfrom clipit_eva.eva import exits\n"
        "exits.fail_at_end(errors.InputError('run 1 failed'))\n"
        "exits.fail_at_end(errors.InputError('run 2 failed'))\nprint('went on')\n"
    )
    ended = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == "went on\n"
    assert ended.stderr == "clipit-eva: error: run 1 failed\n"


def test_elsewhere_a_failure_is_raised_at_once() -> None:
    with pytest.raises(InputError, match="run 1 failed"):
        exits.fail_at_end(InputError("run 1 failed"))
