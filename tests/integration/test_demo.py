"""`clipit-eva demo`, killed once on its way."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from clipit_eva.analysis.grid import store
from clipit_eva.analysis.metrics.scores import balanced_accuracy
from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import gather

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


def _contrasts(printed: str) -> dict[str, tuple[float, float, float]]:
    """Reads the printed contrasts: difference, low and high."""
    found = re.findall(
        r"^  ([A-Za-z ]+): .* ([+-]\d+\.\d) \[(-?[\d.]+), (-?[\d.]+)\]", printed, re.M
    )
    return {name: (float(one), float(low), float(high)) for name, one, low, high in found}


TOKEN = "hf_CanaryOfTheDemo0123456789"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, TOKEN)


def test_demo_continues_after_kill(output) -> None:
    command = [COMMAND, "demo", "--output", str(output)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(lambda: any(_finished(output)))
    first.send_signal(signal.SIGKILL)
    first.wait()
    tables = output.glob("jobs/pairing-*/work/pairs.parquet")
    paired = [path for path in tables if store.is_finished(path.parents[1])]
    assert paired
    kept = {path: path.stat().st_mtime_ns for path in (*paired, *_finished(output))}

    second = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert second.returncode == 0, second.stderr
    (output / "printed.log").write_text(second.stdout + second.stderr)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept

    assert len(list(output.rglob("best.ckpt"))) == 15
    (comparison,) = gather(read_runs(output))
    assert comparison.labels_per_class == 5
    names = {"unimodal", "text_only", "clip_it", "no_text", "shuffled_pairs"}
    assert {arm.name for arm in comparison.runs} == names
    assert [seed for seed, _ in comparison.replicates] == [1, 2, 3]
    assert not comparison.gaps
    share, shuffled = map(float, re.findall(r"(\d+\.\d)%", second.stdout)[:2])
    # 400 images: chance is 25% with a standard deviation of 2.2 points.
    assert share > 50
    assert 16 < shuffled < 34
    contrasts = _contrasts(second.stdout)
    assert list(contrasts) == ["method", "text", "pairs", "LoRA and layers"]
    for name, (first, other) in {
        "method": ("clip_it", "unimodal"),
        "text": ("clip_it", "no_text"),
        "pairs": ("clip_it", "shuffled_pairs"),
    }.items():
        scores = [balanced_accuracy(comparison.predictions(a), comparison.targets).mean()
                  for a in (first, other)]  # fmt: skip
        assert contrasts[name][0] == pytest.approx(100 * (scores[0] - scores[1]), abs=0.051)
    # The positive control: what was planted is seen.
    for name in ("text", "pairs"):
        assert contrasts[name][1] > 0
    assert "reports helped" in second.stdout

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


def _contents(path: Path) -> Iterator[str]:
    """What a file says: its bytes, and the texts and provenance of a table, which is compressed."""
    yield path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield str(table.schema.metadata)
        yield from (str(table[name].unique().to_pylist()) for name in table.column_names)


def test_no_artefact_holds_report_text_or_a_token(output) -> None:
    """Of every report a line of its own is looked for, in all that a demo and its report leave."""
    page = output / "page"
    asked = [COMMAND, "report", str(output), "--output", str(page), "--thumbnails"]
    subprocess.run(asked, check=True, capture_output=True)
    texts = pd.read_parquet(next(output.glob("jobs/cohort-*/work/reports.parquet")))["text"]
    secrets = {max(text.splitlines(), key=len).strip()[:40] for text in texts}
    assert len(secrets) > 100
    assert min(map(len, secrets)) > 20
    looked = 0
    for path in sorted(output.rglob("*")):
        if not path.is_file() or "cohort-" in str(path):
            continue
        looked += 1
        for content in _contents(path):
            assert TOKEN not in content, path
            found = [secret for secret in secrets if secret in content]
            assert not found, path  # the text itself is not printed
    assert looked > 50


def test_the_look_for_report_text_would_find_it(output, tmp_path) -> None:
    reports = next(output.glob("jobs/cohort-*/work/reports.parquet"))
    line = max(pd.read_parquet(reports)["text"][0].splitlines(), key=len).strip()[:40]
    assert any(line in content for content in _contents(reports))
