"""How a user's mistake ends a process."""

import subprocess
import sys

import pytest


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
