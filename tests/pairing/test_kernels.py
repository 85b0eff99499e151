"""Where compiled functions are kept, and when the compiler is loaded."""

import os
import subprocess
import sys
from pathlib import Path


def run(code: str, **environment: str) -> str:
    """The output of a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


COUNTED = """
import numpy as np
from clipit_eva.pairing import kernels
values = np.arange(64, dtype=np.uint8)[None]
kth = np.empty(1, np.uint8)
kernels.best_groups(values, 2, np.empty((1, 4), np.uint8), kth)
print(kth[0], sum(kernels.best_groups.stats.cache_hits.values()))
"""


def test_functions_are_compiled_once(tmp_path: Path) -> None:
    assert run(COUNTED, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["62", "0"]
    assert run(COUNTED, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["62", "1"]


def test_functions_work_where_nothing_can_be_kept() -> None:
    """Neither beside the package nor in the user's folder, as in a read-only container."""
    code = "import numba.core.caching as c; c.CacheImpl._locator_classes = []; " + COUNTED
    assert run(code).split()[0] == "62"


def test_the_package_and_its_command_load_no_compiler() -> None:
    code = """
import sys, clipit_eva
from clipit_eva.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
from clipit_eva.pairing import retrieval
print("numba" in sys.modules)
"""
    assert run(code).split()[-1] == "False"
