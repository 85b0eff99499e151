"""Plans: a grid of runs in a short YAML file."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clipit_eva.errors import InputError
from clipit_eva.tasks import configs

from ..search.search_settings import SearchSettings, read_settings
from .fields import check_keys, integer, mapping, number
from .job import METHODS

Environment = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Selection:
    """Some jobs of the grid: names, and seeds from 1 on; what is empty selects all."""

    tasks: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Factor:
    """What is trained with every seed: a method, or one with other settings.

    Attributes:
        method: The method that it is or varies.
        environment: Its own variables; a list stands for several factors, one an item.
        extends: The factor whose variables it starts from.
        name: Its name; that of a plan's `factors` is their key.
        where: Where it is trained.
    """

    method: str = "clip_it"
    environment: Environment = dataclasses.field(default_factory=dict)
    extends: str | None = None
    name: str = ""
    where: Selection = Selection()


@dataclasses.dataclass(frozen=True)
class Plan:
    """A grid of runs; see `read_plan` for the file's form.

    Attributes:
        seeds: Seeds of training, each at least 1.
        tasks: Variables of each task; the name is that of its configs (`bach`). backbones and
            methods: variables of each vision backbone and of each method that is trained.
        factors: Arms besides the methods.
        contrasts: Whether CLIP-IT's arms without text and with shuffled pairs are trained as well.
        labels_per_class: Numbers of labelled images a class, each with all arms (None: all
            images are labelled); empty leaves it to the variables.
        environment: Variables of all jobs.
        cohorts: Seed of the synthetic cohort of tasks that are drawn instead of read.
        cards: Card of tasks that are not shipped.
        include: Arms that are trained beside the grid.
        exclude: Jobs that are left out.
        retries: How often a failed job is tried again.
        report: Options of the report: `margin` (a key of its own in the file), `resamples`.
        slurm: Settings of the SLURM engine.
        search: Settings of a search for hyperparameters; None for a plain grid.
    """

    seeds: tuple[int, ...]
    tasks: Mapping[str, Environment]
    backbones: Mapping[str, Environment]
    methods: Mapping[str, Environment]
    factors: Mapping[str, Factor] = dataclasses.field(default_factory=dict)
    contrasts: bool = True
    labels_per_class: tuple[int | None, ...] = ()
    environment: Environment = dataclasses.field(default_factory=dict)
    cohorts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    cards: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    include: tuple[Factor, ...] = ()
    exclude: tuple[Selection, ...] = ()
    retries: int = 0
    report: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    slurm: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    search: SearchSettings | None = None

    def config(self, kind: str, task: str) -> Path:
        """Returns the config of a kind (`clip_it`) and task, rendered if the task has a card."""
        card = self.cards.get(task)
        return configs.path(f"{kind}/{task}") if card is None else configs.path(kind, card)

    def variables(self, *kinds: str) -> set[str]:
        """Returns the variables that the configs of some kinds read."""
        paths = [self.config(kind, task) for kind in kinds for task in self.tasks]
        return {name for path in paths for name in configs.variables(path)}


def read_plan(path: Path) -> Plan:
    """Reads a plan.

    The file is a YAML mapping. `seeds`, `tasks` (name of the configs -> variables; `cohort: SEED`
    stands for the synthetic cohort, `file: CARD` for a task of one's own), `backbones` (name ->
    variables) and `methods` (of `METHODS`, name -> variables) span the grid. `factors` (name ->
    variables, `method`, `extends`) are further arms; those of `factors.CONTRASTS` are added unless
    `contrasts` is false. `labels_per_class` lists numbers (or `all`) of labelled images a class
    with which all arms are trained. `environment` holds for all. `include` and
    `exclude` are lists of selections by `task`, `backbone`, `arm` and `seed`; an included one has
    variables of its own. `margin` (points) is the equivalence margin, fixed before anything runs.
    `retries`, `report`, `slurm` and `search` set the rest. Values may refer
    to the caller's environment (`${oc.env:NAME, default}`).

    Args:
        path: The YAML file.

    Raises:
        InputError: The file is missing, is no plan, has an unknown key or a value out of range.
    """
    content = _load(path)
    try:
        return _plan(content, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def plan_path(source: str) -> Path:
    """Returns the file of a plan by its path, or by the name of a shipped one."""
    known = source in configs.names() and source.startswith("ablations/")
    return configs.path(source) if known and not Path(source).is_file() else Path(source)


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"plan {path} does not exist; `clipit-eva configs` lists the shipped ones")
    try:
        loaded = OmegaConf.load(path)  # refuses a key that is given twice
        content = OmegaConf.to_container(loaded, resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError) as error:
        raise InputError(f"plan {path} cannot be read ({error}); mend it") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"plan {path} is no mapping; see the shipped plans")
    return content  # type: ignore[return-value]


def _plan(content: Mapping[str, Any], folder: Path) -> Plan:
    """Returns the plan that a file's content describes; cards are found from its folder."""
    derived = ("cohorts", "cards")
    known = [field.name for field in dataclasses.fields(Plan) if field.name not in derived]
    check_keys(content, [*known, "margin"])
    tasks = _mapping_of_mappings(content, "tasks", required=True)
    methods = _mapping_of_mappings(content, "methods", required=True)
    check_keys(methods, METHODS, "methods.")
    factors = {
        name: _factor(value, f"factors.{name}")
        for name, value in _mapping_of_mappings(content, "factors").items()
    }
    backbones = _mapping_of_mappings(content, "backbones", required=True)
    for name in [*tasks, *backbones, *factors]:
        _check_name(name)
    for name in factors:
        if name in METHODS:
            raise InputError(f"factors.{name} has the name of a method; choose another")
    search = content.get("search")
    return Plan(
        seeds=_seeds(content.get("seeds"), "seeds"),
        tasks={
            n: {k: v for k, v in e.items() if k not in ("cohort", "file")} for n, e in tasks.items()
        },
        backbones=backbones,
        methods=methods,
        factors=factors,
        contrasts=_contrasts(content.get("contrasts", True)),
        labels_per_class=_labels(content.get("labels_per_class")),
        environment=mapping(content.get("environment"), "environment"),
        cohorts={
            n: integer(e["cohort"], f"tasks.{n}.cohort", least=0)
            for n, e in tasks.items()
            if "cohort" in e
        },
        cards={n: (folder / str(e["file"])).absolute() for n, e in tasks.items() if "file" in e},
        include=tuple(_included(content.get("include"))),
        exclude=tuple(_excluded(content.get("exclude"))),
        retries=integer(content.get("retries", 0), "retries", least=0),
        report=_report(content),
        slurm=mapping(content.get("slurm"), "slurm"),
        search=None if search is None else read_settings(mapping(search, "search")),
    )


def _factor(value: Mapping[str, Any], at: str) -> Factor:
    method = value.get("method", Factor.method)
    if method not in METHODS:
        raise InputError(f"{at}.method is {method!r}; it must be one of {', '.join(METHODS)}")
    own = {k: v for k, v in value.items() if k not in ("method", "extends")}
    if not own and "extends" not in value:
        raise InputError(f"{at} changes nothing; give it a variable")
    return Factor(method, own, value.get("extends"))


_SELECTS = ("task", "backbone", "arm", "seed")


def _included(value: Any) -> Iterator[Factor]:
    for at, entry in _entries(value, "include"):
        name = entry.get("arm")
        if not isinstance(name, str):
            raise InputError(f"{at} needs `arm`, the name of what it adds")
        _check_name(name)
        own = {k: v for k, v in entry.items() if k not in _SELECTS}
        yield dataclasses.replace(_factor(own, at), name=name, where=_selection(entry, at))


def _excluded(value: Any) -> Iterator[Selection]:
    for at, entry in _entries(value, "exclude"):
        check_keys(entry, _SELECTS, f"{at}.")
        if not entry:
            raise InputError(f"{at} is empty: it would leave nothing")
        yield _selection(entry, at)


def _entries(value: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if value is not None and not isinstance(value, list):
        raise InputError(f"{at} must be a list")
    for place, entry in enumerate(value or []):
        yield f"{at}[{place}]", mapping(entry, f"{at}[{place}]")


def _selection(entry: Mapping[str, Any], at: str) -> Selection:
    seeds = entry.get("seed")
    return Selection(
        tasks=_words(entry.get("task"), f"{at}.task"),
        backbones=_words(entry.get("backbone"), f"{at}.backbone"),
        arms=_words(entry.get("arm"), f"{at}.arm"),
        seeds=() if seeds is None else _seeds(seeds, f"{at}.seed"),
    )


def _report(content: Mapping[str, Any]) -> Mapping[str, Any]:
    options = mapping(content.get("report"), "report")
    check_keys(options, ("margin", "resamples"), "report.")
    for name, value in options.items():
        number(value, f"report.{name}", above=0)
    if "margin" not in content:
        return options
    if "margin" in options:
        raise InputError("margin is given twice, once in `report`; leave that one out")
    return {"margin": number(content["margin"], "margin", above=0), **options}


def _seeds(value: Any, at: str) -> tuple[int, ...]:
    if value is None or value == []:
        raise InputError(f"{at} is missing or empty; give a list such as [1, 2, 3]")
    seeds = [integer(s, at, least=1) for s in (value if isinstance(value, list) else [value])]
    repeated = [seed for seed in seeds if seeds.count(seed) > 1]
    if repeated:
        raise InputError(f"{at}: seed {repeated[0]} is repeated; seeds must differ")
    return tuple(seeds)


def _contrasts(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"contrasts is {value!r}; it must be true or false")
    return value


def _labels(value: Any) -> tuple[int | None, ...]:
    """Returns numbers of labelled images a class, None for `all`."""
    at = "labels_per_class"
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    numbers = [None if item == "all" else integer(item, at, least=1) for item in listed]
    repeated = [n for n in numbers if numbers.count(n) > 1]
    if repeated or not numbers:
        raise InputError(f"{at}: {listed} is empty or repeats a number; give each once")
    return tuple(numbers)


def _words(value: Any, at: str) -> tuple[str, ...]:
    words = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(word, str) for word in words):
        raise InputError(f"{at} is {value!r}; it must be a name or a list of names")
    return tuple(words)


def _mapping_of_mappings(
    content: Mapping[str, Any], key: str, required: bool = False
) -> dict[str, Mapping[str, Any]]:
    value = mapping(content.get(key), key)
    if required and not value:
        raise InputError(f"{key} is missing or empty; give at least one")
    return {name: mapping(inner, f"{key}.{name}") for name, inner in value.items()}


def _check_name(name: str) -> None:
    """Refuses names that cannot be part of a job's name."""
    if not name or not all(letter.isalnum() or letter in "_-.=" for letter in name):
        raise InputError(f"{name!r} is no name for a part of a plan; use letters, digits, _, -, .")
