"""Import of the package and start of the command line, in fresh processes.

Run: python benchmarks/startup.py
"""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import _common

IMPORT_LIMIT = 0.5
HELP_LIMIT = 1.0


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Measures both, in turns with a bare Python."""
    python = [sys.executable, "-c"]
    command = Path(sysconfig.get_path("scripts")) / "clipit-eva"
    calls = {
        "python": lambda: _start(*python, "pass"),
        "import clipit_eva": lambda: _start(*python, "import clipit_eva"),
        "clipit-eva --help": lambda: _start(str(command), "--help"),
    }
    seconds = _common.time_in_turns(calls, repeats=5 if options.quick else 15)
    yield _common.median("import clipit_eva", seconds["import clipit_eva"], "s", IMPORT_LIMIT)
    yield _common.median("clipit-eva --help", seconds["clipit-eva --help"], "s", HELP_LIMIT)
    yield _common.median("bare python", seconds["python"], "s")


def _start(*command: str) -> None:
    """Runs a command that has to succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    _common.main(__doc__, measure)
