"""Plans of grids that are none."""

from wrong_input import Case

RIGHT = """\
seeds: [1]
tasks: {bach: {DATA_ROOT: images}}
backbones: {demo: {MODEL_NAME: clipit_eva/demo_vit, IN_FEATURES: 96}}
methods: {unimodal: {}, clip_it: {}}
environment: {REPORTS: reports.csv}
"""
DRY = "clipit-eva ablate plan.yaml --output grid --dry-run"
RUN = "clipit-eva ablate plan.yaml --output grid"


def _plan(wrong: str, text: str, names: str, command: str = DRY, quotes: bool = False) -> Case:
    return Case(wrong, command, files={"plan.yaml": text.encode()}, names=names, quotes=quotes)


def _with(wrong: str, lines: str, names: str, command: str = DRY) -> Case:
    """A case of a right plan with further lines."""
    return _plan(wrong, RIGHT + lines + "\n", names, command)


def _slurm(wrong: str, lines: str, names: str, flags: str = "") -> Case:
    """A case of what jobs ask SLURM for; the plan's inputs are there."""
    files = {
        "plan.yaml": (RIGHT + lines + "\n").encode(),
        "images/a.tif": b"",
        "reports.csv": b"report_id,text\nr1,zanzibar\n",
    }
    return Case(wrong, f"{RUN} --engine slurm{flags}", files=files, names=names)


def _instead(wrong: str, found: str, other: str, names: str) -> Case:
    """A case of a right plan with other words."""
    assert found in RIGHT
    return _plan(wrong, RIGHT.replace(found, other), names)


FILES = [
    Case("a plan that is not there", DRY, names="plan.yaml"),
    _plan("an empty plan", "", "plan.yaml"),
    _plan("a list", "[1, 2]", "plan.yaml"),
    _plan("YAML that does not parse", "seeds: [1", "plan.yaml", quotes=True),
    _plan("a key twice", "seeds: [1]\nseeds: [2]\n", "plan.yaml", quotes=True),
    Case("Latin-1", DRY, files={"plan.yaml": b"seeds: [1] # \xfc\n"}, names="plan.yaml",
         quotes=True),
    _with("a variable that is not set", "retries: ${oc.env:NOT_SET}", "NOT_SET"),
    _with("values that refer to each other", "retries: ${report.margin}\n"
          "report: {margin: '${retries}'}", "plan.yaml"),
    Case("a folder", "clipit-eva ablate folder --output grid", files={"folder/a.txt": b""},
         names="folder"),
    Case("a shipped plan misspelt", "clipit-eva ablate ablations/papre --output grid",
         names="ablations/papre"),
]  # fmt: skip

KEYS = [
    _with("an unknown key", "sedes: [2]", "sedes"),
    _instead("no seed", "seeds: [1]", "seeds: []", "seeds"),
    _instead("a seed of 0", "seeds: [1]", "seeds: [0]", "seeds"),
    _instead("a seed that is no number", "seeds: [1]", "seeds: [one]", "seeds"),
    _instead("a seed twice", "seeds: [1]", "seeds: [1, 1]", "seeds"),
    _instead("an unknown task", "bach:", "bahc:", "bahc"),
    _instead("no task", "tasks: {bach: {DATA_ROOT: images}}", "tasks: {}", "tasks"),
    _instead("a task that is a number", "bach: {DATA_ROOT: images}", "bach: 7", "tasks.bach"),
    _instead("an unknown method", "unimodal: {}", "unimodel: {}", "unimodel"),
    _instead("a backbone whose name is a path", "demo:", "../demo:", "../demo"),
    _instead("an unknown variable", "IN_FEATURES: 96", "IN_FEATURE: 96", "IN_FEATURE"),
    _instead("a variable of the grid", "IN_FEATURES: 96", "OUTPUT_ROOT: x", "OUTPUT_ROOT"),
    _instead("a value out of range", "IN_FEATURES: 96", "IN_FEATURES: -1", "IN_FEATURES"),
    _instead("an empty value", "IN_FEATURES: 96", "IN_FEATURES: ''", "IN_FEATURES"),
    _with("retries below 0", "retries: -1", "retries"),
    _with("a margin of 0", "report: {margin: 0}", "report.margin"),
    _with("an unknown option of the report", "report: {margn: 1}", "margn"),
]

ARMS = [
    _with("a factor that changes nothing", "factors: {a: {}}", "factors.a"),
    _with("a factor of an unknown method", "factors: {a: {method: x, TOP_K: 2}}", "factors.a"),
    _with("factors that extend each other", "factors: {a: {extends: b}, b: {extends: a}}",
          "a -> b"),
    _with("a factor that extends itself", "factors: {a: {extends: a}}", "a -> a"),
    _with("a factor that extends none", "factors: {a: {extends: b}}", "factors.a"),
    _with("a factor with a method's name", "factors: {clip_it: {TOP_K: 2}}", "factors.clip_it"),
    _with("a rank that is no number", "factors: {a: {LORA_RANK: [4, x]}}", "LORA_RANK"),
    _with("a share of replaced pairs above 1", "factors: {a: {REPLACED_SHARE: 2}}",
          "REPLACED_SHARE"),
    _with("an unknown recipe", "factors: {a: {RECIPE: mine}}", "RECIPE"),
    _with("an exclusion of nothing", "exclude: [{task: crc}]", "exclude"),
    _with("an exclusion of everything", "exclude: [{task: bach}]", "exclude"),
    _with("an inclusion without a name", "include: [{task: bach, TOP_K: 2}]", "include[0]"),
    _with("exclusions that are no list", "exclude: 7", "exclude"),
    _instead("a card that is not there", "bach: {", "mine: {file: card.yaml, ", "card.yaml"),
    _instead("a cohort's seed that is none", "DATA_ROOT: images", "cohort: one",
             "tasks.bach.cohort"),
]  # fmt: skip

SEARCHES = [
    _with("a search of nothing", "search: {trials: 3, space: {}}", "search.space"),
    _with("a search without trials", "search: {trials: 0, space: {LORA_RANK: [4, 8]}}",
          "search.trials"),
    _with("a range upside down", "search: {trials: 3, space: {LORA_RANK: {low: 8, high: 4}}}",
          "search.space.LORA_RANK"),
    _with("a search of an unknown variable", "search: {trials: 3, space: {LORA_RNAK: [4, 8]}}",
          "LORA_RNAK"),
    _with("a choice twice", "search: {trials: 3, space: {LORA_RANK: [4, 4]}}",
          "search.space.LORA_RANK"),
]  # fmt: skip

OPTIONS = [
    Case("no folder", "clipit-eva ablate ablations/demo", names="--output"),
    _with("no job at a time", "", "--jobs", f"{DRY} --jobs 0"),
    _with("jobs that are no number", "", "--jobs", f"{DRY} --jobs many"),
    _with("an unknown engine", "", "--engine", f"{DRY} --engine cloud"),
    _with("an unknown job", "", "--only", f"{DRY} --only clip_it/crc"),
    _with("two ways to look", "", "--status", f"{DRY} --status"),
    _with("nothing to cancel", "", "--cancel", f"{RUN} --cancel"),
    _with("images that are not there", "", "DATA_ROOT", RUN),
    _slurm("a time in YAML's way", "slurm: {time: 4:00:00}", "slurm.time"),
    _slurm("memory without a unit", "slurm: {memory: 32}", "slurm.memory"),
    _slurm("an unknown key of SLURM's", "slurm: {tiem: '1'}", "tiem"),
    _slurm("a time that is none", "", "slurm.time", " --time soon"),
    _slurm("a memory that is none", "", "slurm.memory", " --memory lots"),
    _slurm("a partition that is no name", "", "slurm.partition", " --partition 'a b'"),
    _slurm("an account that is no name", "", "slurm.account", " --account ''"),
    _slurm("GPUs that are no number", "", "--gpus", " --gpus all"),
    _slurm("a number of GPUs below 0", "", "slurm.gpus", " --gpus -1"),
    _slurm("no job that may run", "", "slurm.max_running", " --max-running 0"),
    Case("a file in the place of the folder", "clipit-eva ablate ablations/demo --output grid",
         files={"grid": b""}, names="grid"),
    Case("a folder of something else", "clipit-eva ablate ablations/demo --output grid",
         files={"grid/mine.txt": b""}, names="grid"),
]  # fmt: skip

POWER = [
    *(
        _plan(f"a power with `{flag} 0`", RIGHT, flag, f"clipit-eva power plan.yaml {flag} 0")
        for flag in ("--test-size", "--classes", "--slides")
    ),
    _plan("a power of images that are not there", RIGHT, "DATA_ROOT", "clipit-eva power plan.yaml"),
    _with("contrasts that are no switch", "contrasts: some", "contrasts"),
    _with("no label a class", "labels_per_class: [5, 0]", "labels_per_class"),
    _with("a margin of nothing", "margin: 0", "margin"),
]

CASES = [*FILES, *KEYS, *ARMS, *SEARCHES, *OPTIONS, *POWER]
