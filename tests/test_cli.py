"""The `clipit-eva` command, as a process."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipit_eva.tasks import configs

COMMAND = str(Path(sys.executable).with_name("clipit-eva"))


def _run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=120)


def test_help_answers_at_once() -> None:
    seconds = []
    for _ in range(3):  # the first call may compile and read from a cold disk
        start = time.perf_counter()
        finished = _run("--help")
        seconds.append(time.perf_counter() - start)
    assert finished.returncode == 0
    assert all(command in finished.stdout for command in ("demo", "configs"))
    assert min(seconds) < 1


def test_import_is_light() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import clipit_eva; "
        "print(time.perf_counter() - start); assert 'torch' not in sys.modules"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) < 0.5


def test_configs_lists_files_that_exist() -> None:
    names = _run("configs").stdout.split()
    assert names == list(configs.names())
    assert {"pairing", "unimodal", "text_only", "clip_it", "predict"} <= {
        name.partition("/")[0] for name in names
    }
    for name in names:
        if name.endswith(("/bach", "/mhist", "/paper")):
            assert Path(_run("configs", name).stdout.strip()).is_file()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["configs", "clip_it/bahc"], "clip_it/bach"),
        (["demo", "--replaced-share", "2"], "--replaced-share"),
        (["demo", "--jobs", "0"], "--jobs"),
        (["dmeo"], "dmeo"),
        (["demo", "--speed", "9"], "--speed"),
    ],
)
def test_mistake_is_one_line(arguments, word) -> None:
    finished = _run(*arguments)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1
    assert word in finished.stderr


def test_demo_leaves_a_strange_folder_alone(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    finished = _run("demo", "--output", str(tmp_path))
    assert finished.returncode == 2
    assert str(tmp_path) in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
