"""Exporting a trained run, and the eva config beside it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def stage(begin_stage, trained, server):
    command = ["clipit-eva", "export", str(trained), "--output"]
    return begin_stage("export", [*command, str(server.root / "model.safetensors")], _tables)


@pytest.fixture(scope="module")
def onnx_stage(begin_stage, trained, server):
    command = ["clipit-eva", "export", str(trained), "--output"]
    return begin_stage("export_onnx", [*command, str(server.root / "model.onnx")], _tables)


def _tables(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.iterdir() if not path.name.startswith("."))
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.slow
@pytest.mark.faults(kill=14, cut=10)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)


@pytest.mark.slow
@pytest.mark.faults(kill=3, cut=3)
def test_nothing_is_lost_of_onnx(onnx_stage, fault) -> None:
    onnx_stage.survives(fault)
