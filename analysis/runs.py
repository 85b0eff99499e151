"""Finished runs, found by their files."""

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd

from clipit_eva.errors import InputError
from clipit_eva.predictions import table

METHODS = {"vision": "unimodal", "text": "text_only", "fused": "clip_it"}
"""Method of a run, by the branch that its prediction rests on."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One trained model's predictions on its test set."""

    path: Path
    """The predictions table."""

    method: str
    """`unimodal`, `text_only` or `clip_it`."""

    backbone: str | None
    """Name of the vision backbone in eva's registry; None without one."""

    dataset: str
    """Class name of the eva dataset."""

    seed: int | None
    """The global seed of the session."""

    number: str
    """Name of the run's folder in its session (`run_0`)."""

    predictions: pd.DataFrame
    """Rows of the test split, all branches, see `clipit_eva.predictions.table`."""

    @property
    def branch(self) -> str:
        """The branch that the run's prediction rests on."""
        return next(branch for branch, method in METHODS.items() if method == self.method)

    @property
    def prediction(self) -> pd.DataFrame:
        """The rows of the run's prediction, indexed by the sample's index."""
        rows = self.predictions.loc[self.predictions["branch"] == self.branch]
        return rows.set_index("index").sort_index()


def read_runs(folder: Path) -> list[Run]:
    """Reads all runs below a folder, ordered by dataset, backbone, method, seed and number.

    Args:
        folder: Any folder; each `predictions.parquet` below it that holds a test split is a run.

    Raises:
        InputError: The folder is missing, or holds no run, or a damaged table.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of some runs")
    runs = [read_run(path) for path in sorted(folder.rglob(table.FILENAME))]
    tested = [run for run in runs if len(run.predictions)]
    if not tested:
        raise InputError(f"{folder} holds no {table.FILENAME} of a test; finish a run first")
    return sorted(tested, key=_order)


def read_run(path: Path) -> Run:
    """Reads one run's predictions table; see `read_runs`."""
    rows, provenance = table.read_predictions(path)
    branches = set(rows["branch"])
    main = next((branch for branch in reversed(METHODS) if branch in branches), None)
    if main is None:
        raise InputError(f"{path} has none of the branches {', '.join(METHODS)}")
    return Run(
        path=path,
        method=METHODS[main],
        backbone=_backbone(provenance),
        dataset=provenance["datasets"][0]["class"].rpartition(".")[2],
        seed=provenance.get("seed"),
        number=Path(provenance["run"]).name,
        predictions=rows.loc[rows["split"] == "test"],
    )


def _order(run: Run) -> tuple[str, str, str, int, str]:
    """Returns what runs are ordered by."""
    return run.dataset, run.backbone or "", run.method, run.seed or 0, run.number


def _backbone(provenance: dict[str, Any]) -> str | None:
    """Returns the backbone's name as the run's configuration has it."""
    model = provenance.get("config", {}).get("model", {}).get("init_args", {})
    backbone = model.get("backbone") or {}
    return backbone.get("init_args", {}).get("model_name") or backbone.get("class_path")
