"""From a plan to its jobs: what shares work, what depends on what, what each is called."""

import contextlib
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import settings
from clipit_eva.tasks import configs, synthetic
from clipit_eva.tasks.card import PROMPTS, read_card

from . import identity, variables
from .checks import RECIPE, REPLACED_SHARE, check_search, check_selections, check_variables
from .factors import OF_LABELS, variations_of, with_labels
from .job import METHODS, Grid, Job
from .plan_file import Factor, Plan, Selection

JOBS, EMBEDDINGS, REPORT = "jobs", "embeddings", "report"
"""Folders of a grid: its jobs, the embeddings that all share, and the final report."""

_PAIRS = "pairs.parquet"
_OF_RUNS = ("**/results.json", "**/predictions.parquet")
_PRODUCTS = {**dict.fromkeys(METHODS, _OF_RUNS), "pairing": (_PAIRS,), "embeddings": ()}
_FROM_EMBEDDINGS = ("unimodal_cached", "no_lora_cached")
"""Configs of runs whose backbone is frozen: it embeds each image once, for all of them."""


def expand(plan: Plan, output: Path) -> Grid:
    """Returns a plan's jobs, in the grid's folder.

    Jobs that differ only in what others need share those: one pairing, one unimodal run a
    backbone and seed, whose vision head CLIP-IT starts from; a run without text needs no pairing.

    Raises:
        InputError: A task has no config, a variable is not read by any config in question, names
            repeat, or a selection selects nothing.
    """
    output = output.absolute()
    variations = list(variations_of(plan))
    check_variables(plan, variations)
    check_search(plan)
    builder = _Builder(plan, output)
    used: set[Selection] = set()
    for task, backbone, variation in itertools.product(plan.tasks, plan.backbones, variations):
        if not _selects(variation.where, task, backbone):
            continue
        for seed in variation.where.seeds or plan.seeds:
            chosen = [s for s in plan.exclude if _selects(s, task, backbone, variation.name, seed)]
            used.update(chosen)
            for one in () if chosen else with_labels(plan, variation):
                builder.training(task, backbone, one, seed)
    check_selections(plan, used)
    if not builder.trained:
        raise InputError("exclude leaves no job; exclude less")
    if plan.search is None:
        builder.report()
    return Grid.of(output, builder.jobs.values(), plan.report.get("margin"))


class _Builder:
    """Makes jobs, each piece of work once."""

    def __init__(self, plan: Plan, output: Path) -> None:
        self.jobs: dict[str, Job] = {}
        self.trained: dict[str, Job] = {}
        self._heads: dict[tuple[Any, ...], Job] = {}
        self._plan = plan
        self._output = output
        self._indices = {
            task: (read_card(card).arguments or {}).get("index")
            for task, card in plan.cards.items()
        }

    def training(self, task: str, backbone: str, variation: Factor, seed: int) -> Job:
        """Adds a training run and its dependencies; returns the run."""
        method = variation.method
        environment = self._environment(task, backbone, variation)
        share = _share(environment.pop(REPLACED_SHARE, "0"))
        for key, value in environment.items():
            settings.check_value(key, value)
        images = self._images(task, environment)
        config = _config_of(method, environment)
        dependencies: dict[str, Job] = {}
        if config in _FROM_EMBEDDINGS:
            dependencies["EMBEDDINGS_ROOT"] = self._eva(
                f"embeddings/{task}", f"embeddings/{task}/{backbone}", environment, images
            )
        if _reads_text(method, environment):
            suffix = "" if variation.name in METHODS else f"/{variation.name}"
            pairing = self._eva(f"pairing/{task}", f"pairing/{task}{suffix}", environment, images)
            if share:
                pairing = self._replacement(pairing, task, environment, share)
            dependencies["PAIRING_TABLE"] = pairing
            environment["PAIRING_TABLE"] = str(pairing.work / _PAIRS)
        if method == "clip_it":
            head = self._head(task, backbone, _of_labels(variation), seed)
            dependencies["VISION_HEAD_CHECKPOINT"] = head
            environment["VISION_HEAD_CHECKPOINT"] = str(head.work)
        own = "" if variation.name == method else f"/{variation.name}"
        labels = "".join(f":{key.lower()}={n}" for key, n in _of_labels(variation).items())
        labels = labels.replace("=null", "=all")
        name = f"{method}/{task}{labels}/{backbone}{own}/seed_{seed}"
        job = self._eva(f"{config}/{task}", name, environment, dependencies, seed=seed)
        self.trained[job.digest] = job
        return job

    def _head(self, task: str, backbone: str, labels: dict[str, Any], seed: int) -> Job:
        """Adds the unimodal run that vision heads start from: one for all that see its labels."""
        key = (task, backbone, *labels.items(), seed)
        if key not in self._heads:
            probe = Factor("unimodal", labels, name="unimodal")
            self._heads[key] = self.training(task, backbone, probe, seed)
        return self._heads[key]

    def report(self) -> None:
        """Adds the report on all training runs."""
        options = [word for n, v in self._plan.report.items() for word in (f"--{n}", f"{v:g}")]
        folder = self._output / REPORT
        command = ["clipit_eva.cli", "report", str(self._output), "--output", str(folder), *options]
        job = self._new(REPORT, REPORT, {"options": options}, dependencies=tuple(self.trained))
        self._add(job, command, [str(folder / "report.html")])

    def _environment(self, task: str, backbone: str, variation: Factor) -> dict[str, str]:
        """Returns the variables of a training run, as text; later sources count."""
        plan, method = self._plan, variation.method
        drawn = {**synthetic.SHARED, **synthetic.METHODS[method]} if task in plan.cohorts else {}
        merged = {
            **drawn, **plan.environment, **plan.tasks[task], **plan.backbones[backbone],
            **plan.methods.get(method, {}), **variation.environment,
        }  # fmt: skip
        prompts = str(plan.cards.get(task, task))
        return {
            name: variables.as_text(value).replace("{task}", prompts)
            for name, value in merged.items()
        }

    def _images(self, task: str, environment: dict[str, str]) -> dict[str, Job]:
        """Adds the drawing of a synthetic cohort, if the task has one, and names its files."""
        if task not in self._plan.cohorts:
            return {}
        seed = self._plan.cohorts[task]
        job = self._new("cohort", f"cohort/{task}", {}, seed=seed)
        command = ["clipit_eva.demo.cohort", str(job.work), str(seed)]
        environment["DATA_ROOT"] = str(job.work / "bach")
        environment.setdefault("REPORTS", str(job.work / "reports.parquet"))
        return {"DATA_ROOT": self._add(job, command, ["bach", "reports.parquet"])}

    def _replacement(
        self, pairing: Job, task: str, environment: Mapping[str, str], share: float
    ) -> Job:
        seed = environment.get("PAIRING_SEED", "1")
        counts = {"share": share, "pairing_seed": int(seed)}
        name = f"replacement/{task}/{share:g}"
        job = self._new("replacement", name, counts, dependencies=(pairing.digest,))
        command = ["clipit_eva.pairing.replacement", str(pairing.work / _PAIRS)]
        command += [str(job.work / _PAIRS), "--share", str(share)]
        command += ["--reports", environment["REPORTS"], "--seed", seed]
        return self._add(job, command, [_PAIRS])

    def _eva(
        self,
        config: str,
        name: str,
        environment: Mapping[str, str],
        dependencies: Mapping[str, Job],
        seed: int | None = None,
    ) -> Job:
        """Adds a process of eva with a shipped config; one with a seed trains."""
        kind, (folder, _, task) = name.partition("/")[0], config.partition("/")
        path, card = self._plan.config(folder, task), self._plan.cards.get(task)
        environment = _with_files(path, environment)
        files = variables.FILES & configs.variables(path).keys()
        if task in self._plan.cohorts:
            # A cohort that is drawn counts by its job, whether or not it is drawn yet.
            prompts = environment["REPORTS"].startswith(PROMPTS)
            files -= {"DATA_ROOT"} if prompts else {"DATA_ROOT", "REPORTS"}
        counts = {
            "config": variables.text_digest(path),
            "values": variables.effective(path, environment, trains=seed is not None),
            "files": identity.inputs(environment, files) | self._index(task, environment),
        }
        needed = tuple(job.digest for job in dependencies.values())
        job = self._new(kind, name, counts, dependencies=needed, seed=seed)
        own = {**environment, "OUTPUT_ROOT": str(job.work)}
        own["EMBEDDINGS_ROOT"] = str(self._output / EMBEDDINGS)
        if kind == "pairing":
            own["PAIRING_TABLE"] = str(job.work / _PAIRS)
        if seed is not None:
            own |= {"EVA_GLOBAL_SEED": str(seed), "N_RUNS": "1"}
        verb = "predict" if seed is None else "fit"
        command = configs.command(verb, config if card is None else folder, card)
        return self._add(replace(job, command=tuple(command), environment=own), (), _PRODUCTS[kind])

    def _index(self, task: str, environment: Mapping[str, str]) -> dict[str, str]:
        """Returns a digest of the index of one's own images: a label that is mended counts."""
        if self._indices.get(task) is None:
            return {}
        path = Path(environment["DATA_ROOT"], str(self._indices[task]))
        return {"index": identity.fingerprint(path) or str(path)}

    def _new(
        self,
        kind: str,
        name: str,
        counts: Mapping[str, Any],
        *,
        dependencies: tuple[str, ...] = (),
        seed: int | None = None,
    ) -> Job:
        """Returns a job that is known by what counts for its result; it has no command yet."""
        digest = identity.digest(
            **counts, kind=kind, dependencies=sorted(dependencies), seed=seed,
            versions=identity.result_versions(kind),
        )  # fmt: skip
        folder = self._output / JOBS / f"{kind}-{digest[:12]}"
        return Job(digest, kind, name, folder, dependencies=dependencies, seed=seed)

    def _add(self, job: Job, module: Sequence[str], products: Sequence[str]) -> Job:
        """Adds a job, which runs a module unless it has a command, or a further name of a job."""
        command = job.command or (sys.executable, "-m", *module)
        known = self.jobs.setdefault(
            job.digest, replace(job, command=command, products=tuple(products))
        )
        if job.kind in METHODS and job.name not in known.names:
            self.jobs[job.digest] = replace(known, aliases=(*known.aliases, job.name))
        return self.jobs[job.digest]


def _of_labels(variation: Factor) -> dict[str, Any]:
    """Returns a variation's own variables of how many labels are known, and which."""
    return {key: variation.environment[key] for key in OF_LABELS if key in variation.environment}


def _share(value: str) -> float:
    """Returns the share of pairs to replace."""
    with contextlib.suppress(ValueError):
        if 0 <= float(value) <= 1:
            return float(value)
    raise InputError(f"{REPLACED_SHARE}={value} must be a number from 0 to 1")


def _with_files(config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment with the default files filled in and paths made absolute."""
    filled = dict(environment)
    for name, default in configs.variables(config).items():
        if name in variables.FILES and default not in ("", "null"):
            filled.setdefault(name, default)
    for name in variables.FILES & filled.keys():
        if Path(filled[name]).exists():
            filled[name] = str(Path(filled[name]).absolute())
    return filled


def _reads_text(method: str, environment: Mapping[str, str]) -> bool:
    if method == "clip_it":
        return float(environment.get("DISTILL_WEIGHT", 1)) != 0
    return method == "text_only"


def _selects(
    selection: Selection, task: str, backbone: str, arm: str | None = None, seed: int | None = None
) -> bool:
    """Whether a selection has a job; parts that are not given are not asked for."""
    asked = (
        (selection.tasks, task), (selection.backbones, backbone), (selection.arms, arm),
        (selection.seeds, seed),
    )  # fmt: skip
    return all(value is None or not chosen or value in chosen for chosen, value in asked)


def _config_of(method: str, environment: Mapping[str, str]) -> str:
    """Returns the folder of a run's config.

    Raises:
        InputError: The recipe is unknown.
    """
    recipe = environment.get(RECIPE)
    if recipe is not None and method == "clip_it":
        if recipe != "authors":
            raise InputError(f"{RECIPE}={recipe} must be authors, or left out for this package's")
        return "clip_it_authors"
    if not variables.equal(environment.get("AUGMENTATION", "null"), "null"):
        return method  # its images are others each time: there is nothing to embed once
    if method == "unimodal":
        return "unimodal_cached"
    frozen = variables.equal(environment.get("LORA_VISION", "true"), "false")
    return "no_lora_cached" if method == "clip_it" and frozen else method
