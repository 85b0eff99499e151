"""The statistics fixtures (known answers, each computed by a library or in R), and made-up runs."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clipit_eva.analysis.reading.runs import read_runs
from clipit_eva.analysis.reading.study import Comparison, gather
from clipit_eva.predictions import predictions_table


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests that ask for `known` on every file that matches their module's `KNOWN`."""
    if "known" in metafunc.fixturenames:
        files = metafunc.config.fixture_files(metafunc.module.KNOWN)
        metafunc.parametrize("known", files, indirect=True, ids=_test_id)


def _test_id(path: Path) -> str:
    return f"statistics-{path.parent.name}-{path.stem}"


@pytest.fixture
def known(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A fixture's inputs, expected values and tolerances."""
    return json.loads(request.param.read_text())


@pytest.fixture
def check() -> Callable[..., None]:
    """Compares expected JSON with a result: every key but those named in `without`."""

    def compare(
        expected: Any, actual: Any, tolerance: float, without: tuple[str, ...] = ()
    ) -> None:
        differences = list(_differences(expected, actual, tolerance, "", without))
        assert not differences, "; ".join(differences)

    return compare


def _differences(expected, actual, tolerance, at, without=()):
    if isinstance(expected, Mapping):
        for key in expected:
            if key not in without:
                inner = actual[key] if isinstance(actual, Mapping) else getattr(actual, key)
                yield from _differences(expected[key], inner, tolerance, f"{at}.{key}")
    elif isinstance(expected, list):
        if actual is None or len(expected) != len(actual):
            yield f"{at}: expected {expected}, got {actual}"
            return
        for place, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from _differences(one, other, tolerance, f"{at}[{place}]")
    elif not _equal(expected, actual, tolerance):
        yield f"{at}: expected {expected!r}, got {actual!r}"


def _equal(expected: Any, actual: Any, tolerance: float) -> bool:
    if expected is None or actual is None or isinstance(expected, bool | str):
        return expected is actual if expected is None else bool(expected == actual)
    if isinstance(expected, int) and isinstance(actual, int):
        return expected == actual
    return math.isclose(expected, actual, rel_tol=tolerance, abs_tol=tolerance)


@pytest.fixture
def arms() -> Callable[[Mapping[str, Any]], tuple[np.ndarray, np.ndarray, np.ndarray, Any]]:
    """Takes a fixture's predictions apart: CLIP-IT's correctness, the other arm's, y, slides."""

    def take(inputs: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
        y = np.array(inputs["y"])
        (other,) = set(inputs) - {"y", "clipit", "slide"}
        first, second = np.array(inputs["clipit"]), np.array(inputs[other])
        return (first == y) * 1.0, (second == y) * 1.0, y, inputs.get("slide")

    return take


@dataclasses.dataclass(frozen=True)
class RunWriter:
    """Writes predictions tables as a finished run would have them."""

    folder: Path

    def __call__(
        self,
        method: str,
        targets: np.ndarray,
        predictions: np.ndarray,
        *,
        seed: int = 1,
        dataset: str = "BACH",
        backbone: str = "pathology/mahmood_uni",
        name: str | None = None,
        run: str = "run_0",
        classes: int = 4,
        sure: float | np.ndarray | None = None,
        filenames: list[str] | None = None,
        groups: list[str] | None = None,
        provenance: Mapping[str, Any] | None = None,
        **model: Any,
    ) -> Path:
        """Writes one run; `model` are arguments of its module. Returns the predictions table.

        Seeds are a trace more or less sure, as no two trained models are the same.
        """
        sure = 0.9 - 2e-7 * seed if sure is None else sure
        n, sure = len(targets), np.broadcast_to(np.asarray(sure), len(targets))
        probs = np.repeat(((1 - sure) / (classes - 1))[:, np.newaxis], classes, axis=1)
        probs[np.arange(n), predictions] = sure
        branch = {"unimodal": "vision", "text_only": "text", "clip_it": "fused"}[method]
        names = filenames or [f"class/{place}.tif" for place in range(n)]
        rows = predictions_table.make_rows(
            "test", branch, range(n), names, targets.tolist(), probs.astype(np.float32),
            groups=groups,
        )  # fmt: skip
        if method == "clip_it":  # CLIP-IT writes its vision branch, too: it must not be taken
            wrong = rows.assign(branch="vision", prediction=(rows["prediction"] + 1) % classes)
            rows = pd.concat([rows, wrong])
        backbone_config = {"class_path": "eva.Backbone", "init_args": {"model_name": backbone}}
        folder = name or f"{dataset}_{backbone}_{method}_{seed}".replace("/", "_")
        path = self.folder / folder / run / predictions_table.FILENAME
        facts = {
            "config": {
                "model": {
                    "class_path": "CLIPITModule" if method == "clip_it" else "eva.HeadModule",
                    "init_args": {
                        "backbone": None if method == "text_only" else backbone_config,
                        **model,
                    },
                }
            },
            "seed": seed,
            "run": str(path.parent),
            "checkpoint": "c0ffee" * 10,
            "datasets": [{"class": f"eva.{dataset}", "classes": list("abcdefghi"[:classes])}],
            **(provenance or {}),
        }
        predictions_table.write_predictions(rows, path, facts)
        return path


@pytest.fixture
def write_run(tmp_path: Path) -> RunWriter:
    """Writes runs below `tmp_path / "runs"`."""
    return RunWriter(tmp_path / "runs")


def _draw(targets: np.ndarray, accuracy: float, seed: int, classes: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wrong = (targets + rng.integers(1, classes, len(targets))) % classes
    return np.where(rng.random(len(targets)) < accuracy, targets, wrong)


@pytest.fixture
def drawn() -> Callable[..., np.ndarray]:
    """Draws predictions that are right with some probability, [samples]."""
    return _draw


@pytest.fixture(scope="session")
def shared_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one backbone on two datasets, three seeds, all methods and one ablation.

    Made once: only for tests that do not write there.
    """
    write = RunWriter(tmp_path_factory.mktemp("study"))
    for dataset, n, offset in (("BACH", 120, 0), ("CRC", 90, 100)):
        targets = np.arange(n) % 4
        for seed in (1, 2, 3):
            base = offset + 10 * seed
            runs = {"unimodal": 0.7, "text_only": 0.6, "clip_it": 0.9}
            for place, (method, accuracy) in enumerate(runs.items()):
                predictions = _draw(targets, accuracy, base + place)
                write(method, targets, predictions, seed=seed, dataset=dataset)
            predictions = _draw(targets, 0.8, base + 5)
            options = {"dataset": dataset, "distill_weight": 0.0, "name": f"{dataset}_no_{seed}"}
            write("clip_it", targets, predictions, seed=seed, **options)
    return write.folder


@pytest.fixture(scope="session")
def full_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on one dataset by two backbones and five seeds, with the arms of all four contrasts.

    Made once: only for tests that do not write there.
    """
    write = RunWriter(tmp_path_factory.mktemp("full"))
    targets = np.arange(200) % 4
    control = {"pairing": {"control": "shuffled"}}
    for seed in range(1, 6):
        write("text_only", targets, _draw(targets, 0.6, 90 + seed), seed=seed)
        for number, backbone in enumerate(("pathology/mahmood_uni", "pathology/kaiko_vitl14")):
            arms: dict[str, tuple[float, dict[str, Any]]] = {
                "unimodal": (0.7, {}),
                "clip_it": (0.85, {}),
                "no_text": (0.75, {"distill_weight": 0.0}),
                "no_lora": (0.72, {"lora": {"vision": False}}),
                "shuffled": (0.76, {"provenance": control}),
            }
            for place, (arm, (accuracy, options)) in enumerate(arms.items()):
                predictions = _draw(targets, accuracy, 1000 * seed + 100 * number + place)
                method = "unimodal" if arm == "unimodal" else "clip_it"
                named = {"backbone": backbone, "name": f"{arm}{number}{seed}", **options}
                write(method, targets, predictions, seed=seed, **named)
    return write.folder


@pytest.fixture
def study_folder(shared_study: Path, write_run: RunWriter) -> Path:
    """A copy of `shared_study` in the folder of `write_run`."""
    shutil.copytree(shared_study, write_run.folder)
    return write_run.folder


@pytest.fixture(scope="session")
def shared_comparisons(shared_study: Path) -> list[Comparison]:
    """The comparisons of `shared_study`."""
    return gather(read_runs(shared_study))


@pytest.fixture(scope="session")
def comparisons_of_slides(
    shared_study: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[Comparison]:
    """The comparisons of `shared_study`, the test images of either dataset on 12 slides."""
    path = tmp_path_factory.mktemp("groups") / "groups.csv"
    rows = [f"class/{place}.tif,slide {place % 12}" for place in range(120)]
    path.write_text("\n".join(["filename,group", *rows]))
    return gather(read_runs(shared_study), path)
