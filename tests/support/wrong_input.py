"""Wrong inputs as data, and what must hold when a command meets one."""

import dataclasses
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from forked import Ended, ForkServer

from clipit_eva.tasks import configs, synthetic

CANARY = "zanzibar"
"""A word in all reports of cases: it must not be printed."""

_DERIVED = re.compile(
    r"events\.out\.tfevents.*|hparams\.yaml|config\.yaml"
    r"|content-\w+\.parquet|(images|reports|vision)-\w+\.(json|npy(\.partial|\.marks)?)"
)
"""Files that loggers write when a run starts, and embeddings, whose rows are kept once made."""

_ADVICE = re.compile(r"; |must|did you mean|see .* --help|needs |set [A-Z]|run `|give |has to")
"""How a message says what to do."""

Spoil = Callable[[Path, Path], None]


@dataclasses.dataclass(frozen=True)
class Case:
    """A wrong input and the command that meets it.

    Attributes:
        wrong: What is wrong, in words; unique in its area, for one command.
        command: The command as a shell reads it. A config of eva is given by its name; `{shared}`
            stands for the folder of what is right.
        variables: Variables of the environment that differ from a right call's; None: not set.
        files: Contents of files in the working directory.
        spoil: Makes further files, given the working directory and the shared folder.
        names: What the message has to name; by default a variable or file of the case, or the flag.
        by_eva: Whether eva reports it, before anything of this package is imported: its lines on
            usage come before the one on the error.
        quotes: Whether the message quotes a library, whose words may change: the table leaves out
            what is in parentheses.
    """

    wrong: str
    command: str
    variables: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    files: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    spoil: Spoil | None = None
    names: str = ""
    quotes: bool = False
    by_eva: bool = False

    @property
    def shown(self) -> str:
        """The command as the table shows it."""
        given = {name: value for name, value in self.variables.items() if value is not None}
        words = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
        return " ".join([*words, self.command]).replace("{shared}", "...")

    def words(self) -> list[str]:
        """What the message may name: variables, files, flags."""
        if self.names:
            return [self.names]
        flags = [word for word in shlex.split(self.command) if word.startswith("--")]
        values = [value for value in self.variables.values() if value and len(value) > 3]
        return [*self.variables, *values, *self.files, *flags]


def environment(shared: Path) -> dict[str, str]:
    """Returns the variables of a right call."""
    return {
        **synthetic.SHARED,
        "N_RUNS": "1",
        "MAX_STEPS": "2",
        "VAL_CHECK_INTERVAL": "1",
        "BATCH_SIZE": "32",
        "DATA_ROOT": str(shared / "bach"),
        "REPORTS": str(shared / "reports.parquet"),
        "PAIRING_TABLE": str(shared / "pairs.parquet"),
        "EMBEDDINGS_ROOT": str(shared / "embeddings"),
        "OUTPUT_ROOT": "logs",
    }


def run(case: Case, server: ForkServer, folder: Path, shared: Path) -> tuple[Ended, set[str]]:
    """Runs a case in an empty folder; returns the files that the command left there, too."""
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if case.spoil is not None:
        case.spoil(folder, shared)
    variables = environment(shared)
    for name, value in case.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value.replace("{shared}", str(shared))
    before = files_below(folder)
    ended = server.run(arguments(case.command, shared), folder, variables)
    return ended, files_below(folder) - before


def arguments(command: str, shared: Path) -> list[str]:
    """Returns a command's words, with the path of the config that it names."""
    words = [word.replace("{shared}", str(shared)) for word in shlex.split(command)]
    if words[0] != "eva":
        return words
    script, verb, config, *rest = words
    path = config if config.endswith(".yaml") else str(configs.path(config))
    return [script, verb, "--config", path, *rest]


def problems(case: Case, ended: Ended, made: set[str]) -> list[str]:
    """Returns what is not as it must be; `made` are the files that the command left."""
    line = error_line(case, ended)
    checks = {
        f"status {ended.status}": ended.status == 2,
        "a traceback": "Traceback" not in ended.output,
        "no line of error, or several": line != "",
        f"names none of {case.words()}": any(word in line for word in case.words()),
        "says nothing to do": case.by_eva or _ADVICE.search(line) is not None,
        "shows a report": CANARY not in ended.output.lower(),
        f"left {sorted(made)}": not made,
    }
    if case.command.startswith("clipit-eva"):
        checks["other output"] = len(ended.output.splitlines()) == 1
    return [problem for problem, holds in checks.items() if not holds]


def error_line(case: Case, ended: Ended) -> str:
    """Returns the line of a user's mistake; nothing if there is none, or further ones."""
    printed = ended.output.strip().splitlines()
    lines = [line for line in printed if re.match(r"(usage|error|[\w -]+: error):", line)]
    if case.by_eva:
        lines = [line for line in lines if not line.startswith("usage:")]
    form = "error: " if case.by_eva else r"clipit-eva[\w -]*: error: "
    fits = len(lines) == 1 and lines == printed[-1:] and re.match(form, lines[0])
    return lines[0] if fits else ""


def row(case: Case, ended: Ended, shared: Path, folder: Path) -> str:
    """Returns the case's row of the table: the same on every machine."""
    line = error_line(case, ended)
    for path in (folder, shared, synthetic.CLIP_FOLDER.parents[2]):
        line = line.replace(str(path), "...")
    line = re.sub(r"/\S*/(clipit_eva|benchmark_configs)/", r".../\1/", line)
    line = re.sub(r"\b[0-9a-f]{12,}\b", "<digest>", line)
    line = re.sub(r"[0-9]{8}-[0-9]{12}_[0-9a-f]+", "SESSION", line)
    if case.quotes:
        line = re.sub(r"\(.*\)", "(...)", line)
    cells = [case.wrong, f"`{case.shown}`", f"`{line.replace('`', chr(39))}`"]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def files_below(folder: Path) -> set[str]:
    """Returns the files below a folder that hold results."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)) for path in paths if not _DERIVED.fullmatch(path.name)}
