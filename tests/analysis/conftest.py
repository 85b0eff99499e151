"""The statistics fixtures: known answers, each computed by a library or in R."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest


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
