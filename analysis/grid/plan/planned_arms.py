"""Which arm each training run of a plan will be, told before anything runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.pairing.controls import CONTROLS
from clipit_eva.tasks import configs

from ...reading.arms import Arm, resolve
from ...reading.run_settings import BRANCH_OF_METHOD, LABELS_PER_CLASS, method_of, settings_of
from .identity import fingerprint
from .job import Grid, Job


def planned_arms(grid: Grid) -> dict[str, Arm]:
    """Returns the arm of each training run of a plan's jobs, by digest.

    Raises:
        InputError: Two runs of one task, backbone and seed would be one arm: a report could not
            tell them apart.
    """
    told = {job.digest: _method_and_settings(job, grid) for job in grid.trained()}
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in grid.trained():
        _, task, backbone, *_ = job.name.split("/")
        labels = told[job.digest][1].get(LABELS_PER_CLASS)
        groups.setdefault((task.partition(":")[0], backbone, labels), []).append(job)
    found: dict[str, Arm] = {}
    for jobs in groups.values():
        runs = [told[job.digest] for job in jobs]
        arms = resolve(runs, [job.is_plain for job in jobs])
        seen: dict[tuple[Arm, int | None], Job] = {}
        for job, arm in zip(jobs, arms, strict=True):
            twin = seen.setdefault((arm, job.seed), job)
            if twin is not job:
                raise InputError(
                    f"{twin.name} and {job.name} would both be the arm {arm.name!r}: nothing that "
                    "they differ in has an effect on results; leave one out"
                )
            found[job.digest] = arm
    return found


def _method_and_settings(job: Job, grid: Grid) -> tuple[str, Mapping[str, Any]]:
    config = RecordedConfig(configs.resolved(Path(job.command[-1]), job.environment))
    branch = BRANCH_OF_METHOD[job.kind]
    return method_of(config, branch), settings_of(config, branch, _pairing(job, grid))


def _pairing(job: Job, grid: Grid) -> dict[str, Any]:
    """Returns what the provenance of the pairing table that a run reads will say."""
    share = 0.0
    before = {grid.jobs[digest].kind: grid.jobs[digest] for digest in job.dependencies}
    if "replacement" in before:
        command = before["replacement"].command
        share = float(command[command.index("--share") + 1])
        (digest,) = before["replacement"].dependencies
        before = {"pairing": grid.jobs[digest]}
    if "pairing" not in before:
        return {}
    environment = before["pairing"].environment
    policy = environment.get("PAIRING_POLICY", "nearest")
    reports = environment.get("REPORTS", "")
    return {
        "policy": {"name": policy},
        "control": policy if policy in CONTROLS else None,
        "replaced_share": share,
        "reports": {"source": reports, "sha256": fingerprint(Path(reports)) or reports},
    }
