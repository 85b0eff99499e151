"""From a plan to its jobs: what shares work, what depends on what, what each is called."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.tasks import configs, synthetic

from . import identity, variables
from .checks import REPLACED_SHARE, check_search, check_selections, check_variables
from .factors import Variation, variations_of
from .job import Grid, Job
from .plan_file import METHODS, Plan, Selection

JOBS, EMBEDDINGS, REPORT = "jobs", "embeddings", "report"
"""Folders of a grid: its jobs, the embeddings that all share, and the final report."""

_PAIRS = "pairs.parquet"
_OF_RUNS = ("**/results.json", "**/predictions.parquet")
_PRODUCTS = {**dict.fromkeys(METHODS, _OF_RUNS), "pairing": (_PAIRS,), "embeddings": ()}
_FROM_EMBEDDINGS = ("unimodal_cached", "no_lora_cached")
"""Configs of runs whose backbone is frozen: it embeds each image once, for all of them."""


def expand(plan: Plan, output: Path) -> Grid:
    """Returns a plan's jobs.

    Jobs that differ only in what others need share those: one pairing, one unimodal run a
    backbone and seed, whose vision head CLIP-IT starts from; a run without text needs no pairing.

    Args:
        plan: The plan.
        output: The grid's folder.

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
            if not chosen:
                builder.training(task, backbone, variation, seed)
    check_selections(plan, used)
    if not builder.trained:
        raise InputError("exclude leaves no job")
    if plan.search is None:
        builder.report()
    return Grid.of(output, builder.jobs.values())


class _Builder:
    """Makes jobs, each piece of work once."""

    def __init__(self, plan: Plan, output: Path) -> None:
        self.jobs: dict[str, Job] = {}
        self.trained: dict[str, Job] = {}
        self._plan = plan
        self._output = output

    def training(self, task: str, backbone: str, variation: Variation, seed: int) -> Job:
        """Adds a training run and all that it needs; returns the run."""
        environment = self._environment(task, backbone, variation.method, variation.environment)
        name = f"{variation.method}/{task}/{backbone}"
        name += (
            f"/seed_{seed}"
            if variation.name == variation.method
            else f"/{variation.name}/seed_{seed}"
        )
        dependencies: dict[str, Job] = {}
        share = float(environment.pop(REPLACED_SHARE, 0))
        if task in self._plan.cohorts:
            self._cohort(task, environment)
        config = _config_of(variation.method, environment)
        if config in _FROM_EMBEDDINGS:
            dependencies["EMBEDDINGS_ROOT"] = self._embeddings(task, backbone, environment)
        if self._reads_text(variation.method, environment):
            pairing = self._pairing(task, environment, share, variation.name)
            environment["PAIRING_TABLE"] = str(pairing.work / _PAIRS)
            dependencies["PAIRING_TABLE"] = pairing
        if variation.method == "clip_it":
            # One unimodal run a seed, whatever the variation.
            head = self.training(task, backbone, Variation("unimodal", "unimodal", {}), seed)
            environment["VISION_HEAD_CHECKPOINT"] = str(head.work)
            dependencies["VISION_HEAD_CHECKPOINT"] = head
        job = self._eva(
            "fit", config, task, environment, dependencies, name, seed, kind=variation.method
        )
        self.trained[job.digest] = job
        return job

    def report(self) -> None:
        """Adds the report on all training runs."""
        options = [word for n, v in self._plan.report.items() for word in (f"--{n}", f"{v:g}")]
        command = [sys.executable, "-m", "clipit_eva.cli", "report", str(self._output)]
        command += ["--output", str(self._output / REPORT), *options]
        digest = identity.digest(
            kind=REPORT,
            dependencies=sorted(self.trained),
            options=options,
            versions=identity.result_versions(REPORT),
        )
        product = self._output / REPORT / "report.html"
        self._add(
            self._job(digest, REPORT, REPORT, command, {}, list(self.trained), [str(product)], None)
        )

    def _environment(
        self, task: str, backbone: str, method: str, own: Mapping[str, Any]
    ) -> dict[str, str]:
        """Returns the variables of a training run, as text; later sources count."""
        plan = self._plan
        demo = {**synthetic.SHARED, **synthetic.METHODS[method]} if task in plan.cohorts else {}
        sources = (
            demo,
            plan.environment,
            plan.tasks[task],
            plan.backbones[backbone],
            plan.methods.get(method, {}),
            own,
        )
        merged = {name: value for source in sources for name, value in source.items()}
        text = {name: variables.as_text(value) for name, value in merged.items()}
        prompts = str(plan.cards.get(task, task))
        return {name: value.replace("{task}", prompts) for name, value in text.items()}

    def _reads_text(self, method: str, environment: Mapping[str, str]) -> bool:
        if method == "unimodal":
            return False
        return method == "text_only" or float(environment.get("DISTILL_WEIGHT", 1)) != 0

    def _cohort(self, task: str, environment: dict[str, str]) -> Job:
        """Adds the drawing of the synthetic cohort, and names its files."""
        seed = self._plan.cohorts[task]
        versions = identity.result_versions("cohort")
        digest = identity.digest(kind="cohort", seed=seed, versions=versions)
        job = self._job(
            digest, "cohort", f"cohort/{task}", [], {}, [], ["bach", "reports.parquet"], seed
        )
        command = [sys.executable, "-m", "clipit_eva.demo.cohort", str(job.work), str(seed)]
        environment["DATA_ROOT"] = str(job.work / "bach")
        if "REPORTS" not in environment:
            environment["REPORTS"] = str(job.work / "reports.parquet")
        return self._add(replace(job, command=tuple(command)))

    def _of_images(self, task: str, environment: Mapping[str, str]) -> dict[str, Job]:
        """Returns what a job needs that reads a task's images first."""
        if task not in self._plan.cohorts:
            return {}
        return {"DATA_ROOT": self._cohort(task, dict(environment))}

    def _embeddings(self, task: str, backbone: str, environment: Mapping[str, str]) -> Job:
        """Adds the embedding of a task's images by a frozen backbone, for all its runs."""
        dependencies = self._of_images(task, environment)
        name = f"embeddings/{task}/{backbone}"
        return self._eva("predict", "embeddings", task, environment, dependencies, name, None)

    def _pairing(self, task: str, environment: Mapping[str, str], share: float, arm: str) -> Job:
        """Adds the pairing that a run needs, some of it replaced at random if that is asked."""
        dependencies = self._of_images(task, environment)
        own = {name: value for name, value in environment.items() if name != "PAIRING_TABLE"}
        suffix = "" if arm in METHODS else f"/{arm}"
        pairing = self._eva(
            "predict", "pairing", task, own, dependencies, f"pairing/{task}{suffix}", None
        )
        return self._replacement(pairing, task, own, share) if share else pairing

    def _replacement(
        self, pairing: Job, task: str, environment: Mapping[str, str], share: float
    ) -> Job:
        """Adds the replacement of a share of the pairs."""
        seed = int(environment.get("PAIRING_SEED", 1))
        digest = identity.digest(
            kind="replacement",
            pairing=pairing.digest,
            share=share,
            seed=seed,
            versions=identity.result_versions("replacement"),
        )
        name = f"replacement/{task}/{share:g}"
        job = self._job(digest, "replacement", name, [], {}, [pairing.digest], [_PAIRS], None)
        words = [str(pairing.work / _PAIRS), str(job.work / _PAIRS), "--share", str(share)]
        words += ["--reports", environment["REPORTS"], "--seed", str(seed)]
        command = (sys.executable, "-m", "clipit_eva.pairing.replacement", *words)
        return self._add(replace(job, command=command))

    def _eva(
        self,
        verb: str,
        folder: str,
        task: str,
        environment: Mapping[str, str],
        dependencies: Mapping[str, Job],
        name: str,
        seed: int | None,
        kind: str | None = None,
    ) -> Job:
        """Adds a process of eva with a shipped config of a folder, whose name is the kind's too."""
        kind = kind or folder
        config = self._plan.config(folder, task)
        environment = self._with_files(config, environment)
        # A cohort that is drawn counts by its job, whether or not it is drawn yet.
        made = {"DATA_ROOT", "REPORTS"} if task in self._plan.cohorts else set()
        if environment.get("REPORTS", "").startswith("prompts:"):
            made -= {"REPORTS"}
        read = variables.FILES & configs.variables(config).keys()
        digest = identity.digest(
            kind=kind,
            config=variables.text_digest(config),
            values=variables.effective(config, environment, trains=verb == "fit"),
            files=identity.inputs(environment, read - made),
            dependencies={variable: job.digest for variable, job in dependencies.items()},
            seed=seed,
            versions=identity.result_versions(kind),
        )
        needed = [job.digest for job in dependencies.values()]
        card = self._plan.cards.get(task)
        job = self._job(
            digest,
            kind,
            name,
            configs.command(verb, folder if card else f"{folder}/{task}", card),
            {},
            needed,
            _PRODUCTS[kind],
            seed,
        )
        own = {**environment, "OUTPUT_ROOT": str(job.work)}
        own["EMBEDDINGS_ROOT"] = str(self._output / EMBEDDINGS)
        if kind == "pairing":
            own["PAIRING_TABLE"] = str(job.work / _PAIRS)
        if seed is not None:
            own |= {"EVA_GLOBAL_SEED": str(seed), "N_RUNS": "1"}
        return self._add(replace(job, environment=own))

    @staticmethod
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

    def _job(
        self,
        digest: str,
        kind: str,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        dependencies: Sequence[str],
        products: Sequence[str],
        seed: int | None,
    ) -> Job:
        folder = self._output / JOBS / f"{kind}-{digest[:12]}"
        return Job(
            digest, kind, name, folder, tuple(command), environment, tuple(dependencies),
            tuple(products), seed,
        )  # fmt: skip

    def _add(self, job: Job) -> Job:
        """Adds a job, or a further name of one that is there."""
        known = self.jobs.get(job.digest)
        if known is None:
            self.jobs[job.digest] = job
        elif job.kind in METHODS and job.name not in (known.name, *known.aliases):
            self.jobs[job.digest] = replace(known, aliases=(*known.aliases, job.name))
        return self.jobs[job.digest]


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
    """Returns the folder of the config of a run."""
    if method == "unimodal":
        return "unimodal_cached"
    frozen = variables.equal(environment.get("LORA_VISION", "true"), "false")
    return "no_lora_cached" if method == "clip_it" and frozen else method
