"""Stands for each job's work in a grid: writes what the job has to leave, and nothing else."""

import json
import os
import sys
from pathlib import Path

if "OUTPUT_ROOT" in os.environ:
    work = Path(os.environ["OUTPUT_ROOT"])
    job = json.loads((work.parent / "job.json").read_text())
    paths = [work / pattern.replace("**", "session/run_0") for pattern in job["products"]]
else:
    paths = [Path(sys.argv[-1]) / "report.html"]
for path in paths:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("as a job leaves it\n" * 50)
