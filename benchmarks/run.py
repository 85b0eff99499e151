"""Runs every benchmark in this folder, each in a process of its own, one after the other.

Run: python benchmarks/run.py [--quick] [--device cuda] [--output FILE.json] [NAME ...]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import _common

FOLDER = Path(__file__).parent


def main() -> int:
    """Returns 1 if a benchmark fails or misses a limit, else 0."""
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py") if path.stem != "run")
    parser = _common.make_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; or all")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(names)):
        parser.error(f"no benchmark {unknown[0]}; there are {', '.join(names)}")
    arguments = ["--device", given.device, *(["--quick"] if given.quick else [])]
    results, failed = [], []
    for name in given.names or names:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "result.json"
            command = [sys.executable, FOLDER / f"{name}.py", *arguments, "--output", file]
            if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
                failed.append(name)
            else:
                results += json.loads(file.read_text(encoding="utf-8"))["results"]
    report = {"environment": _common.environment(given.device), "results": results}
    _common.finish(report, given.output)
    for name in failed:
        print(f"benchmark {name} failed", file=sys.stderr)
    missed = [r for r in results if r["limit"] is not None and r["value"] > r["limit"]]
    return int(bool(failed or missed))


if __name__ == "__main__":
    sys.exit(main())
