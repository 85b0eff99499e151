"""`clipit-eva demo`, killed once on its way."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.reading.runs import read_runs

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("clipit-eva"))


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo") / "out"


def _wait_for(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def _finished(output: Path) -> list[Path]:
    """The results of jobs that are recorded as finished."""
    found = output.glob("jobs/*/work/*/results.json")
    return [path for path in found if store.is_finished(path.parents[2])]


def test_demo_continues_after_kill(output) -> None:
    command = [COMMAND, "demo", "--output", str(output)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(lambda: any(_finished(output)))
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in _finished(output)}
    (pairs,) = output.glob("jobs/pairing-*/work/pairs.parquet")
    kept[pairs] = pairs.stat().st_mtime_ns

    second = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert second.returncode == 0, second.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    assert len(list(output.rglob("best.ckpt"))) == 9
    runs = read_runs(output)
    assert sorted((run.method, run.seed) for run in runs) == [
        (method, seed) for method in ("clip_it", "text_only", "unimodal") for seed in (1, 2, 3)
    ]
    share, shuffled = map(float, re.findall(r"(\d+\.\d)%", second.stdout)[:2])
    # 400 images: chance is 25% with a standard deviation of 2.2 points.
    assert share > 50
    assert 16 < shuffled < 34
    table = [line.split() for line in second.stdout.splitlines() if re.match(r"^[123] ", line)]
    assert len(table) == 3
    for row in table:
        unimodal, clip_it, _, difference = map(float, row[1:5])
        assert difference == pytest.approx(clip_it - unimodal, abs=0.11)

    start = time.monotonic()
    third = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert third.stdout == second.stdout
    assert time.monotonic() - start < 60


def test_demo_refuses_another_demos_folder(output) -> None:
    assert output.is_dir()
    finished = subprocess.run(
        [COMMAND, "demo", "--output", str(output), "--replaced-share", "1"],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
