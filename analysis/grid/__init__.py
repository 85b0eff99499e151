"""Grids of runs: a plan in YAML becomes jobs that run here or on SLURM, resumably.

    plan = read_plan(Path("plan.yaml"))
    grid = expand(plan, Path("out"))
    run_local(grid, parallel=2)

A job is one process with an identity: a digest of all that fixes its result. What is finished is
found again by that digest, so that a plan can be changed and only what depends on the change runs.
"""

from clipit_eva import _lazy

__getattr__ = _lazy.attach(
    __name__,
    {
        "Job": f"{__name__}.plan.job",
        "Grid": f"{__name__}.plan.job",
        "Plan": f"{__name__}.plan.plan_file",
        "read_plan": f"{__name__}.plan.plan_file",
        "Record": f"{__name__}.store",
        "State": f"{__name__}.store",
        "run_job": f"{__name__}.engines.worker",
        "run_local": f"{__name__}.engines.local",
        "expand": f"{__name__}.plan.expansion",
        "read_settings": f"{__name__}.engines.slurm_settings",
        "submit": f"{__name__}.engines.slurm",
        "run_search": f"{__name__}.search.search_run",
    },
)
