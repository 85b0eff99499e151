"""From a plan to its cells: what shares work, what needs what, what each is called."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipit_eva.demo import settings
from clipit_eva.errors import InputError
from clipit_eva.tasks import configs

from . import identity, variables
from .checks import REPLACED_SHARE, check_search, check_selections, check_variables
from .factors import Arm, arms_of
from .job import Cell, Grid
from .plan_file import METHODS, Plan, Selection

CELLS, EMBEDDINGS, REPORT = "cells", "embeddings", "report"
"""Folders of a grid: its cells, the embeddings that all share, and the final report."""

_PAIRS = "pairs.parquet"
_OF_RUNS = ("**/results.json", "**/predictions.parquet")
_PRODUCTS = {**dict.fromkeys(METHODS, _OF_RUNS), "pairing": (_PAIRS,), "embeddings": ()}
_FROM_EMBEDDINGS = ("unimodal_cached", "no_lora_cached")
"""Configs of runs whose backbone is frozen: it embeds each image once, for all of them."""

_OF_THE_DEMO = {
    "unimodal": settings.UNIMODAL,
    "text_only": settings.TEXT_ONLY,
    "clip_it": settings.CLIP_IT,
}


def expand(plan: Plan, output: Path) -> Grid:
    """Returns a plan's cells.

    Cells that differ only in what others need share those: one pairing, one unimodal run a
    backbone and seed, whose vision head CLIP-IT starts from; a run without text needs no pairing.

    Args:
        plan: The plan.
        output: The grid's folder.

    Raises:
        InputError: A task has no config, a variable is not read by any config in question, names
            repeat, or a selection selects nothing.
    """
    output = output.absolute()
    arms = list(arms_of(plan))
    check_variables(plan, arms)
    check_search(plan)
    builder = _Builder(plan, output)
    used: set[Selection] = set()
    for task, backbone, arm in itertools.product(plan.tasks, plan.backbones, arms):
        if not _selects(arm.where, task, backbone):
            continue
        for seed in arm.where.seeds or plan.seeds:
            chosen = [s for s in plan.exclude if _selects(s, task, backbone, arm.name, seed)]
            used.update(chosen)
            if not chosen:
                builder.training(task, backbone, arm, seed)
    check_selections(plan, used)
    if not builder.trained:
        raise InputError("exclude leaves no cell")
    if plan.search is None:
        builder.report()
    return Grid.of(output, builder.cells.values())


class _Builder:
    """Makes cells, each piece of work once."""

    def __init__(self, plan: Plan, output: Path) -> None:
        self.cells: dict[str, Cell] = {}
        self.trained: dict[str, Cell] = {}
        self._plan = plan
        self._output = output

    def training(self, task: str, backbone: str, arm: Arm, seed: int) -> Cell:
        """Adds a training run and all that it needs; returns the run."""
        environment = self._environment(task, backbone, arm.method, arm.environment)
        name = f"{arm.method}/{task}/{backbone}"
        name += f"/seed_{seed}" if arm.name == arm.method else f"/{arm.name}/seed_{seed}"
        needs: dict[str, Cell] = {}
        share = float(environment.pop(REPLACED_SHARE, 0))
        if task in self._plan.cohorts:
            self._cohort(task, environment)
        config = _config_of(arm.method, environment)
        if config in _FROM_EMBEDDINGS:
            needs["EMBEDDINGS_ROOT"] = self._embeddings(task, backbone, environment)
        if self._reads_text(arm.method, environment):
            pairing = self._pairing(task, environment, share, arm.name)
            environment["PAIRING_TABLE"] = str(pairing.work / _PAIRS)
            needs["PAIRING_TABLE"] = pairing
        if arm.method == "clip_it":
            # One unimodal run a seed, whatever the arm.
            head = self.training(task, backbone, Arm("unimodal", "unimodal", {}), seed)
            environment["VISION_HEAD_CHECKPOINT"] = str(head.work)
            needs["VISION_HEAD_CHECKPOINT"] = head
        cell = self._eva("fit", config, task, environment, needs, name, seed, kind=arm.method)
        self.trained[cell.digest] = cell
        return cell

    def report(self) -> None:
        """Adds the report on all training runs."""
        options = [word for n, v in self._plan.report.items() for word in (f"--{n}", f"{v:g}")]
        command = [sys.executable, "-m", "clipit_eva.cli", "report", str(self._output)]
        command += ["--output", str(self._output / REPORT), *options]
        digest = identity.digest(
            kind=REPORT,
            needs=sorted(self.trained),
            options=options,
            versions=identity.result_versions(REPORT),
        )
        product = self._output / REPORT / "report.html"
        self._add(
            self._cell(
                digest, REPORT, REPORT, command, {}, list(self.trained), [str(product)], None
            )
        )

    def _environment(
        self, task: str, backbone: str, method: str, own: Mapping[str, Any]
    ) -> dict[str, str]:
        """Returns the variables of a training run, as text; later sources count."""
        plan = self._plan
        demo = {**settings.SHARED, **_OF_THE_DEMO[method]} if task in plan.cohorts else {}
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
        return {name: value.replace("{task}", task) for name, value in text.items()}

    def _reads_text(self, method: str, environment: Mapping[str, str]) -> bool:
        if method == "unimodal":
            return False
        return method == "text_only" or float(environment.get("DISTILL_WEIGHT", 1)) != 0

    def _cohort(self, task: str, environment: dict[str, str]) -> Cell:
        """Adds the drawing of the synthetic cohort, and names its files."""
        seed = self._plan.cohorts[task]
        versions = identity.result_versions("cohort")
        digest = identity.digest(kind="cohort", seed=seed, versions=versions)
        cell = self._cell(
            digest, "cohort", f"cohort/{task}", [], {}, [], ["bach", "reports.parquet"], seed
        )
        command = [sys.executable, "-m", "clipit_eva.demo.cohort", str(cell.work), str(seed)]
        environment["DATA_ROOT"] = str(cell.work / "bach")
        if "REPORTS" not in environment:
            environment["REPORTS"] = str(cell.work / "reports.parquet")
        return self._add(replace(cell, command=tuple(command)))

    def _of_images(self, task: str, environment: Mapping[str, str]) -> dict[str, Cell]:
        """Returns what a cell needs that reads a task's images first."""
        if task not in self._plan.cohorts:
            return {}
        return {"DATA_ROOT": self._cohort(task, dict(environment))}

    def _embeddings(self, task: str, backbone: str, environment: Mapping[str, str]) -> Cell:
        """Adds the embedding of a task's images by a frozen backbone, for all its runs."""
        needs = self._of_images(task, environment)
        name = f"embeddings/{task}/{backbone}"
        return self._eva("predict", "embeddings", task, environment, needs, name, None)

    def _pairing(self, task: str, environment: Mapping[str, str], share: float, arm: str) -> Cell:
        """Adds the pairing that a run needs, some of it replaced at random if that is asked."""
        needs = self._of_images(task, environment)
        own = {name: value for name, value in environment.items() if name != "PAIRING_TABLE"}
        suffix = "" if arm in METHODS else f"/{arm}"
        pairing = self._eva("predict", "pairing", task, own, needs, f"pairing/{task}{suffix}", None)
        return self._replacement(pairing, task, own, share) if share else pairing

    def _replacement(
        self, pairing: Cell, task: str, environment: Mapping[str, str], share: float
    ) -> Cell:
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
        cell = self._cell(digest, "replacement", name, [], {}, [pairing.digest], [_PAIRS], None)
        words = [str(pairing.work / _PAIRS), str(cell.work / _PAIRS), "--share", str(share)]
        words += ["--reports", environment["REPORTS"], "--seed", str(seed)]
        command = (sys.executable, "-m", "clipit_eva.pairing.replacement", *words)
        return self._add(replace(cell, command=command))

    def _eva(
        self,
        verb: str,
        folder: str,
        task: str,
        environment: Mapping[str, str],
        needs: Mapping[str, Cell],
        name: str,
        seed: int | None,
        kind: str | None = None,
    ) -> Cell:
        """Adds a process of eva with a shipped config of a folder, whose name is the kind's too."""
        kind = kind or folder
        config = configs.path(f"{folder}/{task}")
        environment = self._with_files(config, environment)
        # A cohort that is drawn counts by its cell, whether or not it is drawn yet.
        made = {"DATA_ROOT", "REPORTS"} if task in self._plan.cohorts else set()
        if environment.get("REPORTS", "").startswith("prompts:"):
            made -= {"REPORTS"}
        read = variables.FILES & configs.variables(config).keys()
        digest = identity.digest(
            kind=kind,
            config=variables.text_digest(config),
            values=variables.effective(config, environment, trains=verb == "fit"),
            files=identity.inputs(environment, read - made),
            needs={variable: cell.digest for variable, cell in needs.items()},
            seed=seed,
            versions=identity.result_versions(kind),
        )
        needed = [cell.digest for cell in needs.values()]
        cell = self._cell(
            digest,
            kind,
            name,
            configs.command(verb, f"{folder}/{task}"),
            {},
            needed,
            _PRODUCTS[kind],
            seed,
        )
        own = {**environment, "OUTPUT_ROOT": str(cell.work)}
        own["EMBEDDINGS_ROOT"] = str(self._output / EMBEDDINGS)
        if kind == "pairing":
            own["PAIRING_TABLE"] = str(cell.work / _PAIRS)
        if seed is not None:
            own |= {"EVA_GLOBAL_SEED": str(seed), "N_RUNS": "1"}
        return self._add(replace(cell, environment=own))

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

    def _cell(
        self,
        digest: str,
        kind: str,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        needs: Sequence[str],
        products: Sequence[str],
        seed: int | None,
    ) -> Cell:
        folder = self._output / CELLS / f"{kind}-{digest[:12]}"
        return Cell(
            digest, kind, name, folder, tuple(command), environment, tuple(needs),
            tuple(products), seed,
        )  # fmt: skip

    def _add(self, cell: Cell) -> Cell:
        """Adds a cell, or a further name of one that is there."""
        known = self.cells.get(cell.digest)
        if known is None:
            self.cells[cell.digest] = cell
        elif cell.kind in METHODS and cell.name not in (known.name, *known.aliases):
            self.cells[cell.digest] = replace(known, aliases=(*known.aliases, cell.name))
        return self.cells[cell.digest]


def _selects(
    selection: Selection, task: str, backbone: str, arm: str | None = None, seed: int | None = None
) -> bool:
    """Whether a selection has a cell; parts that are not given are not asked for."""
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
