"""The grid of `clipit-eva demo`: methods and controls on the synthetic cohort, three seeds."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.tasks import configs

from ..frames.contrasts_frame import contrasts_frame
from ..frames.summary import summarize
from ..reading.runs import read_runs
from ..reading.study import gather
from ..tables.contrasts_table import NAMES, sentences
from . import store
from .engines.local import run_local
from .plan.checks import REPLACED_SHARE
from .plan.expansion import expand
from .plan.plan_file import read_plan


def run_demo(
    output: Path, replaced_share: float, parallel: int | None, cohort_seed: int = 1
) -> dict[str, Path]:
    """Runs the shipped plan `ablations/demo` without its factors, or goes on with it.

    `cohort_seed` is the seed of the synthetic cohort. Of a share of the images, in [0, 1], the
    paired report is replaced by a random one; 1 leaves no information in the pairs. `parallel`
    processes run at a time; None means two, or one on one core: each takes about 1.5 GB, and the
    demo is to fit into 4.

    Returns:
        What to look at, below `output`: pairs, reports, images, runs, log, and the truth.

    Raises:
        InputError: The folder holds something else, or a process failed.
    """
    plan = read_plan(configs.path("ablations/demo"))
    replaced = {REPLACED_SHARE: replaced_share} if replaced_share else {}
    environment = {**plan.environment, **replaced}
    plan = replace(plan, factors={}, environment=environment, cohorts={"bach": cohort_seed})
    grid = expand(plan, output)
    store.claim(grid.folder)
    if (grid.folder / store.GRID).is_file() and not store.is_written(grid):
        raise InputError(f"--output {output} holds a demo with other settings; give a new one")
    store.write_grid(grid, plan.retries)
    wanted = [digest for digest, job in grid.jobs.items() if job.kind != "report"]
    outcome = run_local(grid, parallel or min(2, os.cpu_count() or 1), only=wanted)
    for digest, why in outcome.failed.items():
        job = grid.jobs[digest]
        raise InputError(f"{job.name} failed: {why}; its logs are in {job.folder}")
    works = {job.name: output / job.work.relative_to(grid.folder) for job in grid.jobs.values()}
    cohort = works["cohort/bach"]
    pairing = f"replacement/bach/{replaced_share:g}" if replaced_share else "pairing/bach"
    return {
        "pairs": works[pairing] / "pairs.parquet",
        "reports": cohort / "reports.parquet",
        "images": cohort / "bach",
        "truth": cohort / "truth.csv",
        "runs": output,
        "log": works["clip_it/bach/demo/seed_1"].with_name("log_1.txt"),
    }


def results(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Returns what a demo's runs reached.

    All its runs have one share of pairs replaced: what is called CLIP-IT here is CLIP-IT on those.

    Returns:
        The scores by seed (`summarize`), the contrasts (`contrasts_frame`) with their names in
        print, and what they say.
    """
    (comparison,) = gather(read_runs(folder))
    runs = {replace(arm, name=arm.setting_and_share[0]): r for arm, r in comparison.runs.items()}
    comparison = replace(comparison, runs=runs)
    frame = contrasts_frame([comparison])
    means = frame.loc[frame["backbone"] == ""]
    named = means.assign(contrast=means["contrast"].map(NAMES))
    return summarize(comparison), named, sentences(frame)
