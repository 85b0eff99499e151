"""Faults at exact file operations of real commands: kills, and writes that are cut.

A stage is a command on small data. It runs once undisturbed, which lists its file operations and
its tables; then each fault strikes one of these operations, and the same command once more has to
end with the same bytes. A test's mark says how many: `faults(kill=20, cut=10)`, and with `sample=1`
how many of each kind the default tests strike. FAULTS_SEED draws others.
"""

import dataclasses
import itertools
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from clipit_eva import files
from clipit_eva.tasks import configs, synthetic

SEED = int(os.environ.get("FAULTS_SEED", "11"))

CANARY = "xanthogranulomatous"
"""A word of every report: it must be in no output."""

# Numbers of shim.c, and the operations that they can strike.
KILL, TORN, EIO, FULL, FULL_TORN, SHORT = range(1, 7)
KINDS = {KILL: "cwsarmd", TORN: "w", EIO: "cwsarm", FULL: "cwam", FULL_TORN: "w", SHORT: "w"}
MODES = {"kill": (KILL, KILL, TORN), "cut": (FULL, EIO, FULL_TORN, EIO, SHORT)}


@dataclasses.dataclass(frozen=True)
class Operation:
    """A line of the shim's trace."""

    place: int
    kind: str
    path: str

    @property
    def group(self) -> tuple[str, str]:
        """What it has in common with others: the kind, and the path without its numbers."""
        return self.kind, re.sub(r"[0-9a-f_-]*\d[0-9a-f_-]*|\.[0-9a-z_]{8}(?=\.|$)", "#", self.path)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run of a command that has ended."""

    status: int
    output: str
    operations: list[Operation]
    struck: Operation | None

    @property
    def errors(self) -> list[str]:
        """The lines of a user's mistake, and those of a grid's failed jobs."""
        return re.findall(
            r"^(?:clipit-eva: error: .*|failed: .* \(log: .*\))$", self.output, re.MULTILINE
        )


class Server:
    """Talks to `server.py`."""

    def __init__(self, shim: Path, folder: Path) -> None:
        self._folder = folder
        self.shim, self.root = shim, folder / "root"
        environment = {**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("server.py")), str(shim)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self._answer() == "warm"

    def begin(self, words: Sequence[str], environment: Mapping[str, str], **options: str) -> None:
        """Makes the server run one command, until `end`."""
        log = self._folder / "begin.log"
        clean = {n: value for n, value in os.environ.items() if n in ("PATH", "HOME", "LANG")}
        command = {
            "program": words[0],
            "arguments": list(words[1:]),
            "environment": {**clean, "LD_PRELOAD": str(self.shim), **environment},
            "folder": str(self._folder),
            "log": str(log),
            **options,
        }
        answer = self._ask(command)
        assert answer == "ready", log.read_text()

    def end(self) -> None:
        assert self._ask(None) == "ended"

    def run(self, at: int = 0, mode: int = 0) -> Run:
        """Runs the command, with a fault at an operation."""
        state, log = self._folder / "state", self._folder / "run.log"
        trace = state.with_name("state.trace")
        state.write_bytes(struct.pack("4l", 0, at, mode, 0))
        trace.unlink(missing_ok=True)
        request = {"root": str(self.root), "state": str(state), "log": str(log)}
        status = self._ask(request)
        operations, struck = [], None
        for line in trace.read_text().splitlines() if trace.exists() else []:
            place, kind, now, path = line.split(" ", 3)
            operations.append(Operation(int(place), kind, path))
            struck = operations[-1] if now == "1" else struck
        return Run(status, log.read_text(errors="replace"), operations, struck)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _ask(self, request: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or '"gone"')


Tables = Callable[[Path], Mapping[str, object]]


class Stage:
    """A command, its operations and its tables."""

    def __init__(self, server: Server, name: str, tables: Tables, begin: Callable[[], None]):
        self._server, self._name, self._tables, self._begin = server, name, tables, begin
        begin()
        first = server.run()
        assert first.status == 0, first.output
        self._expected = dict(tables(server.root))
        assert self._expected
        self._groups: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        for operation in first.operations:
            self._groups[operation.group].append(operation)

    def survives(self, fault: tuple[str, int]) -> None:
        """Strikes the command, and runs it again."""
        mode, operation = self._draw(*fault)
        what = f"{self._name}: {fault[0]} {fault[1]}, mode {mode} at {operation}"
        self._begin()
        hit = self._server.run(operation.place, mode)
        what = f"{what}, struck {hit.struck}, status {hit.status}\n{hit.output}"
        assert hit.struck, what
        self._check_files(what, whole=False)
        if fault[0] == "cut":
            self._check_end(hit, mode, what)
        again = self._server.run()
        assert again.status == 0, f"{what}\nAgain:\n{again.output}"
        self._check_files(f"{what}\nAgain:\n{again.output}", whole=True)
        assert CANARY not in hit.output + again.output

    def _draw(self, kind: str, number: int) -> tuple[int, Operation]:
        """Returns a mode and an operation: one of each group in turn, so that none is left out."""
        modes = MODES[kind]
        mode = modes[number % len(modes)]
        groups = [name for name in self._groups if name[0] in KINDS[mode]]
        random.Random(f"{SEED}-{self._name}-{mode}").shuffle(groups)
        group = groups[number // len(modes) % len(groups)]
        draw = random.Random(f"{SEED}-{self._name}-{kind}-{number}")
        return mode, draw.choice(self._groups[group])

    def _check_files(self, what: str, whole: bool) -> None:
        """Checks that each table has the bytes of the undisturbed run, or is not there yet."""
        found = self._tables(self._server.root)
        assert not whole or found.keys() == self._expected.keys(), what
        for name, content in found.items():
            assert content == self._expected[name], f"{name} differs\n{what}"

    def _check_end(self, hit: Run, mode: int, what: str) -> None:
        """Checks that a command whose write was cut did without, or told it in one line."""
        assert "Traceback" not in hit.output, what
        if hit.status == 0 or mode == SHORT:
            assert hit.status == 0, what
            self._check_files(what, whole=True)
            return
        assert len(hit.errors) == 1, what
        assert hit.status == (1 if hit.errors[0].startswith("failed") else 2), what
        assert str(self._server.root) in hit.errors[0], what
        assert re.search("cannot be written|no space left|input/output", hit.errors[0], re.I), what


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives tests their faults, as many of each kind as their mark says."""
    if "fault" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("faults")
        assert marker is not None
        faults = [(kind, number) for kind in MODES for number in range(marker.kwargs[kind])]
        metafunc.parametrize("fault", faults, ids=[f"{kind}-{number}" for kind, number in faults])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out all but a sample, unless the call asks for faults."""
    if "faults" in config.option.markexpr:
        return
    left = [item for item in items if not _runs_by_default(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if _runs_by_default(item)]


def _runs_by_default(item: pytest.Item) -> bool:
    """Whether a test is none of faults, or of the first ones: `sample` of each kind."""
    marker = item.get_closest_marker("faults")
    if marker is None:
        return True
    _, number = item.callspec.params["fault"]  # type: ignore[attr-defined]
    return number < marker.kwargs.get("sample", 0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The process that all commands are forked from."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("faults need Linux and a C compiler, `cc`")
    folder = tmp_path_factory.mktemp("faults").resolve()
    shim = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl"], check=True)
    server = Server(shim, folder)
    yield server
    server.close()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a BACH folder of small coloured noise, and of twelve reports."""
    folder = tmp_path_factory.mktemp("data").resolve()
    draw = np.random.default_rng(SEED)
    classes = {"Benign": "b", "InSitu": "is", "Invasive": "iv", "Normal": "n"}
    for name, number in itertools.product(classes, range(1, 101)):
        path = folder / "ICIAR2018_BACH_Challenge" / "Photos" / name
        path.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(256, size=(16, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path / f"{classes[name]}{number:03d}.tif")
    words = ["stroma", "gland", "mucin", "fat", "nerve", "vessel"]
    rows = [f"r{n},{one} with {two} and {CANARY} cells\n" for n, (one, two) in enumerate(
        itertools.islice(itertools.permutations(words, 2), 12))]  # fmt: skip
    (folder / "reports.csv").write_text("report_id,text\n" + "".join(rows))
    return {
        **synthetic.SHARED,
        "DATA_ROOT": str(folder),
        "REPORTS": str(folder / "reports.csv"),
        "N_RUNS": "1",
        "MAX_STEPS": "2",
        "VAL_CHECK_INTERVAL": "1",
        "BATCH_SIZE": "64",
    }


@pytest.fixture(scope="module")
def read_alike() -> Callable[..., dict[str, Any]]:
    """Reads tables by their names: rows and provenance but for some keys; one name, one content."""

    def read(paths: Iterable[Path], without: Collection[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in sorted(paths):
            if not path.name.startswith("."):
                table = pq.read_table(path)
                facts = json.loads(table.schema.metadata[files.PROVENANCE_KEY])
                kept = {key: value for key, value in facts.items() if key not in without}
                content = (table.to_pylist(), kept)
                assert found.setdefault(path.name, content) == content
        return found

    return read


@pytest.fixture(scope="module")
def begin_stage(server: Server) -> Iterator[Callable[..., Stage]]:
    """Begins a stage: the words of its command, its variables, and what its tables are.

    The command finds its folder, `server.root`, empty but for what `fill` puts there.
    """
    begun: list[str] = []

    def begin(
        name: str,
        command: Sequence[str],
        tables: Tables,
        environment: Mapping[str, str] | None = None,
        fill: Callable[[Path], None] = lambda _: None,
        **options: str,
    ) -> Stage:
        def empty() -> None:
            shutil.rmtree(server.root, ignore_errors=True)
            server.root.mkdir()
            fill(server.root)

        if begun:
            server.end()
        server.begin(command, environment or {}, **options)
        begun.append(name)
        return Stage(server, name, tables, empty)

    yield begin
    if begun:
        server.end()


@pytest.fixture(scope="session")
def eva_words() -> Callable[[str, str], list[str]]:
    """Returns the words of an `eva` command by its verb and a shipped config."""
    return lambda verb, name: ["eva", verb, "--config", str(configs.path(name))]


@pytest.fixture(scope="session")
def paired(data: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same variables, and random pairs."""
    import pandas as pd
    from eva.vision.data.datasets import BACH

    from clipit_eva.pairing.pairing_table import make_pairs, write_pairs
    from clipit_eva.reports.corpus import read_corpus

    corpus, draw = read_corpus(data["REPORTS"]), np.random.default_rng(SEED)
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    parts, datasets = [], {}
    for split in ("train", "val"):
        images = BACH(root=data["DATA_ROOT"], split=split)
        images.configure()
        names = [images.filename(index) for index in range(len(images))]
        rows = draw.integers(len(corpus), size=(len(images), 1))
        parts.append(make_pairs(split, names, corpus.ids, rows, np.zeros((len(images), 1), "f4")))
        class_path = "eva.vision.data.datasets.classification.bach.BACH"
        datasets[split] = {"class": class_path, "length": len(images)}
    reports = {"source": corpus.source, "sha256": corpus.sha256}
    write_pairs(pd.concat(parts), path, {"datasets": datasets, "reports": reports})
    return {**data, "PAIRING_TABLE": str(path)}


@pytest.fixture(scope="session")
def trained(
    server: Server, paired: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished CLIP-IT run. It needs the server: ask for it before a stage begins."""
    folder = tmp_path_factory.mktemp("trained").resolve()
    own = {"EMBEDDINGS_ROOT": str(folder / "embeddings"), "OUTPUT_ROOT": str(folder / "runs")}
    server.begin(["eva", "fit", "--config", str(configs.path("clip_it/bach"))], {**paired, **own})
    finished = server.run()
    server.end()
    assert finished.status == 0, finished.output
    return folder / "runs"
