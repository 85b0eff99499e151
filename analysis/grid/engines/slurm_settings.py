"""What SLURM jobs ask for: the settings of a plan's `slurm` section."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Any

from clipit_eva.errors import InputError

from ..plan.fields import check_keys, integer, mapping


@dataclasses.dataclass(frozen=True)
class Resources:
    """What one SLURM job asks for; None leaves it to the cluster.

    Attributes:
        partition: The partition, or several, split by commas.
        account: The account that pays.
        time: Limit in minutes.
        memory: Memory of the node with its unit, such as `32G`.
        gpus: Number of GPUs.
        cpus: Number of CPUs.
        parameters: Any further options of sbatch by their long names, such as `qos: high`; True
            stands for an option without a value.
    """

    partition: str | None = None
    account: str | None = None
    time: int | None = None
    memory: str | None = None
    gpus: int | None = None
    cpus: int | None = None
    parameters: Mapping[str, str | int | float | bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SlurmSettings:
    """Settings of the SLURM engine.

    Attributes:
        resources: What SLURM jobs ask for.
        kinds: What the SLURM jobs of some kinds of jobs ask for instead.
        max_running: Largest number of SLURM jobs of the grid that run at once; None for no limit.
    """

    resources: Resources = dataclasses.field(default_factory=Resources)
    kinds: Mapping[str, Resources] = dataclasses.field(default_factory=dict)
    max_running: int | None = None

    def of(self, kind: str) -> Resources:
        """Returns what the SLURM job of a job of some kind asks for."""
        return self.kinds.get(kind, self.resources)


def read_settings(content: Mapping[str, Any]) -> SlurmSettings:
    """Reads the settings of the SLURM engine.

    Args:
        content: A plan's `slurm` section, values of flags put in: the fields of `Resources`,
            `max_running`, and `kinds`, a mapping from kinds of jobs (`pairing`) to the fields in
            which their SLURM jobs differ. `time` is text as SLURM takes it (`30` minutes, `MM:SS`,
            `HH:MM:SS`, `D-HH`, `D-HH:MM:SS`).

    Raises:
        InputError: A key is unknown or a value is none that SLURM takes.
    """
    at = "slurm"
    check_keys(content, (*_FIELDS, "max_running", "kinds"), f"{at}.")
    own = dict(content)
    kinds = mapping(own.pop("kinds", None), f"{at}.kinds")
    running = own.pop("max_running", None)
    resources = _resources(own, at, Resources())
    return SlurmSettings(
        resources,
        {
            kind: _resources(mapping(value, f"{at}.kinds.{kind}"), f"{at}.kinds.{kind}", resources)
            for kind, value in kinds.items()
        },
        None if running is None else integer(running, f"{at}.max_running", least=1),
    )


def check_kinds(settings: SlurmSettings, kinds: Collection[str]) -> None:
    """Refuses settings for a kind of job that a grid does not have.

    Args:
        settings: The settings.
        kinds: The kinds of the grid's jobs.

    Raises:
        InputError: There are settings for another kind; most likely its name is misspelt.
    """
    check_keys(settings.kinds, list(dict.fromkeys(kinds)), "slurm.kinds.")


_FIELDS = tuple(field.name for field in dataclasses.fields(Resources))

_FIELD_OF = {
    "partition": "partition", "account": "account", "time": "time", "mem": "memory",
    "gpus": "gpus", "gpus-per-node": "gpus", "cpus-per-task": "cpus",
}  # fmt: skip
"""Options of sbatch that have a field of their own."""

_OF_THE_GRID = {
    "job-name": "SLURM jobs are found by their names",
    "dependency": "it follows from the jobs",
    "kill-on-invalid-dep": "a SLURM job that cannot start must not stay",
    "output": "logs lie in the jobs' folders",
    "error": "logs lie in the jobs' folders",
    "array": "each job is a SLURM job of its own; max_running limits them",
    "export": "SLURM jobs inherit the environment, and none of it is written to a file",
    "chdir": "SLURM jobs start where they are submitted",
    "wrap": "the SLURM job runs its job",
    "ntasks": "a job is one process; use cpus and gpus",
    "test-only": "nothing would run",
    "wait": "the call would not return",
}
"""Options of sbatch that the grid sets or relies on, and why."""


def _resources(content: Mapping[str, Any], at: str, default: Resources) -> Resources:
    """Returns what a section asks for; what it leaves out is as the default says."""
    check_keys(content, _FIELDS, f"{at}.")
    found: dict[str, Any] = {}
    for name in ("partition", "account"):
        if content.get(name) is not None:
            found[name] = _word(content[name], f"{at}.{name}")
    for name, least in (("gpus", 0), ("cpus", 1)):
        if content.get(name) is not None:
            found[name] = integer(content[name], f"{at}.{name}", least)
    if content.get("time") is not None:
        found["time"] = _minutes(content["time"], f"{at}.time")
    if content.get("memory") is not None:
        found["memory"] = _memory(content["memory"], f"{at}.memory")
    parameters = _parameters(content.get("parameters"), f"{at}.parameters")
    return dataclasses.replace(default, **found, parameters={**default.parameters, **parameters})


def _parameters(value: Any, at: str) -> dict[str, str | int | float | bool]:
    found = {}
    for name, option in mapping(value, at).items():
        key = name.replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]+", key):
            raise InputError(f"{at}.{name} is no long option of sbatch")
        if key in _FIELD_OF:
            raise InputError(f"{at}.{name}: give it as {_FIELD_OF[key]} of the slurm section")
        if key in _OF_THE_GRID:
            raise InputError(f"{at}.{name} is set by the grid ({_OF_THE_GRID[key]}); leave it out")
        if not isinstance(option, str | int | float) or option is False:
            raise InputError(f"{at}.{name} is {option!r}; it must be a text, a number, or true")
        if isinstance(option, str) and not option.isprintable():
            raise InputError(f"{at}.{name} must be one line")
        found[key] = option
    return found


def _minutes(value: Any, at: str) -> int:
    """Returns a limit of time in whole minutes, rounded up as SLURM does."""
    if not isinstance(value, str):  # YAML reads 4:00:00 as the number 14400
        raise InputError(f'{at} is {value!r}; write it in quotes, such as "4:00:00"')
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?", value)
    if match is None:
        raise InputError(f'{at} is {value!r}; write it as "HH:MM:SS" or "D-HH:MM:SS"')
    days, *parts = match.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None or len(numbers) == 3:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    else:
        hours, minutes, seconds = 0, *(*numbers, 0)[:2]
    total = -(-((int(days or 0) * 24 + hours) * 3600 + minutes * 60 + seconds) // 60)
    if total == 0:
        raise InputError(f"{at} is {value!r}; it must be above zero")
    return total


def _memory(value: Any, at: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9]\d*[KMGT]", value):
        raise InputError(f"{at} is {value!r}; write a number and its unit, such as 32G")
    return value


def _word(value: Any, at: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.,@:+-]+", value):
        raise InputError(f"{at} is {value!r}; it must be a name")
    return value
