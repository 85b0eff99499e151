"""A grid by the local engine: its real processes, with a stand-in for the work of a job.

Faults strike the driver, the workers or the stand-in, whichever does the operation.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from clipit_eva.analysis.grid import store

PLAN = """
seeds: [1]
tasks:
  bach: {{DATA_ROOT: {DATA_ROOT}, REPORTS: {REPORTS}}}
backbones:
  demo: {{}}
methods: {{unimodal: {{}}, clip_it: {{}}}}
contrasts: false
"""

PYTHON = """#!/bin/sh
case "$*" in
*.grid.engines.worker*|*clipit_eva.child*) exec {python} "$@";;
*) exec {python} -S {job} "$@";;
esac
"""


@pytest.fixture(scope="module")
def stage(begin_stage, data, server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "plan.yaml").write_text(PLAN.format(**data))
    for name in ("python", "eva"):
        job = Path(__file__).with_name("grid_job.py")
        (folder / name).write_text(PYTHON.format(python=sys.executable, job=job))
        (folder / name).chmod(0o700)
    command = ["clipit-eva", "ablate", str(folder / "plan.yaml"), "--jobs", "1", "--output"]
    executable = str(folder / "python")
    output = str(server.root / "grid")
    return begin_stage("grid", [*command, output], _tables, executable=executable)


def _tables(root: Path) -> dict[str, Any]:
    """Returns what finished jobs have left, and what their records say of it."""
    found = {}
    for folder in root.glob("grid/jobs/*"):
        if store.is_finished(folder):
            record = store.read_record(folder)
            paths = [path for path in (folder / "work").rglob("*") if path.is_file()]
            left = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
            found[folder.name] = (left, record and record.facts["outputs"])
    return found


@pytest.mark.slow
@pytest.mark.faults(kill=16, cut=12, sample=1)
def test_nothing_is_lost(stage, fault) -> None:
    stage.survives(fault)
