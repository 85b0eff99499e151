"""What jobs ask SLURM for: the settings of a plan's `slurm` section, as options of sbatch."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from clipit_eva.errors import InputError

from ..plan.fields import check_keys, integer, mapping

Options = Mapping[str, str | int | float | bool]
"""Options of sbatch by their long names; True stands for one without a value."""


@dataclasses.dataclass(frozen=True)
class SlurmSettings:
    """Settings of the SLURM engine.

    Attributes:
        options: What jobs ask for; the rest is left to the cluster.
        kinds: All that jobs of some kinds ask for instead.
        max_running: Largest number of the grid's jobs that run at once; None for no limit.
    """

    options: Options = dataclasses.field(default_factory=dict)
    kinds: Mapping[str, Options] = dataclasses.field(default_factory=dict)
    max_running: int | None = None

    def of(self, kind: str) -> Options:
        """Returns what a job of some kind asks for."""
        return self.kinds.get(kind, self.options)


def read_settings(content: Mapping[str, Any]) -> SlurmSettings:
    """Reads the settings of the SLURM engine.

    Args:
        content: A plan's `slurm` section, values of flags put in: `partition`, `account`, `time`
            (as sbatch takes it: `30` minutes, `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM:SS`),
            `memory` (`32G`), `gpus` and `cpus` of a job; `parameters`, any further long options
            of sbatch; `max_running`; and `kinds`, a mapping from kinds of jobs (`pairing`) to
            what differs for them.

    Raises:
        InputError: A key is unknown or a value is none that SLURM takes.
    """
    check_keys(content, (*_FIELDS, "parameters", "max_running", "kinds"), "slurm.")
    own = dict(content)
    kinds = mapping(own.pop("kinds", None), "slurm.kinds")
    running = own.pop("max_running", None)
    options = _options(own, "slurm")
    differing = {
        kind: {**options, **_options(mapping(value, f"slurm.kinds.{kind}"), f"slurm.kinds.{kind}")}
        for kind, value in kinds.items()
    }
    if running is not None:
        integer(running, "slurm.max_running", least=1)
    return SlurmSettings(options, differing, running)


def _options(content: Mapping[str, Any], at: str) -> dict[str, str | int | float | bool]:
    check_keys(content, (*_FIELDS, "parameters"), f"{at}.")
    found = {
        option: read(content[name], f"{at}.{name}")
        for name, (option, read) in _FIELDS.items()
        if content.get(name) is not None
    }
    return found | _parameters(content.get("parameters"), f"{at}.parameters")


def _parameters(value: Any, at: str) -> dict[str, str | int | float | bool]:
    """Returns further options, none of which the grid or a field sets."""
    fields = {option: name for name, (option, _) in _FIELDS.items()} | {"gpus": "gpus"}
    found = {}
    for name, option in mapping(value, at).items():
        key = name.replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]+", key):
            raise InputError(f"{at}.{name} is no long option of sbatch")
        if key in fields:
            raise InputError(f"{at}.{name}: give it as {fields[key]} of the slurm section")
        if key in _OF_THE_GRID:
            raise InputError(f"{at}.{name} is set by the grid ({_OF_THE_GRID[key]}); leave it out")
        if not isinstance(option, str | int | float) or option is False:
            raise InputError(f"{at}.{name} is {option!r}; it must be a text, a number, or true")
        if isinstance(option, str) and not option.isprintable():
            raise InputError(f"{at}.{name} must be one line")
        found[key] = option
    return found


def _time(value: Any, at: str) -> str:
    if not isinstance(value, str):  # YAML reads 4:00:00 as the number 14400
        raise InputError(f'{at} is {value!r}; write it in quotes, such as "4:00:00"')
    if not re.fullmatch(r"(\d+-)?\d+(:\d\d){0,2}", value):
        raise InputError(f'{at} is {value!r}; write it as "HH:MM:SS" or "D-HH:MM:SS"')
    if not re.search("[1-9]", value):
        raise InputError(f"{at} is {value!r}; it must be above zero")
    return value


def _text(value: Any, at: str, form: str, hint: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise InputError(f"{at} is {value!r}; {hint}")
    return value


_name = partial(_text, form=r"[\w.,@:+-]+", hint="it must be a name")
_memory = partial(_text, form=r"[1-9]\d*[KMGT]", hint="write a number and its unit, such as 32G")

_FIELDS: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "partition": ("partition", _name),
    "account": ("account", _name),
    "time": ("time", _time),
    "memory": ("mem", _memory),
    "gpus": ("gpus-per-node", partial(integer, least=0)),
    "cpus": ("cpus-per-task", partial(integer, least=1)),
}
"""For each key of the section, the option of sbatch, and what checks a value."""

_OF_THE_GRID = {
    "job-name": "jobs are found by their names",
    "dependency": "it follows from the plan",
    "kill-on-invalid-dep": "a job that cannot start must not stay",
    "output": "logs lie in the jobs' folders",
    "error": "logs lie in the jobs' folders",
    "array": "each job is submitted on its own; max_running limits them",
    "export": "jobs inherit the environment, and none of it is written to a file",
    "chdir": "jobs start where they are submitted",
    "parsable": "the grid reads what sbatch prints",
    "wrap": "the grid gives jobs their command",
    "ntasks": "a job is one process; use cpus and gpus",
    "test-only": "nothing would run",
    "wait": "the call would not return",
}
"""Options of sbatch that the grid sets or relies on, and why."""
