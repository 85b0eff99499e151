"""Finished runs, found by their files and held as arrays."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.predictions import predictions_table
from clipit_eva.predictions.predictions_table import GROUP

from .pairing_facts import pairing_of
from .run_files import find_tables
from .run_settings import METHOD_OF_BRANCH, Settings, method_of, settings_of
from .samples import Samples

TEST = "test"  # the split that is analysed
VALIDATION = "val"  # the one that selects the checkpoint


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """One trained model's predictions on its test set.

    Attributes:
        path: The predictions table.
        method: `unimodal`, `text_only`, `clip_it`, or the class of a baseline's model.
        settings: What of its configuration has an effect on results.
        backbone: Name of the vision backbone in eva's registry; None without one.
        dataset: Title of the dataset, else the class name of eva's.
        seed: The global seed of the session; None if it was not recorded.
        number: Name of the run's folder in its session (`run_0`).
        test_set: The samples; runs on the same ones share one object.
        predictions: Predicted class of each sample, int16 [samples].
        probabilities: Class probabilities, float32 [samples, classes].
        provenance: Everything that the table says about its making.
        pairing: What the pairing table says about its own making; None if there is none, or it
            is gone or has changed since.
        plain: Whether a grid's plan trained it as the method itself.
    """

    path: Path
    method: str
    settings: Settings
    backbone: str | None
    dataset: str
    seed: int | None
    number: str
    test_set: Samples
    predictions: NDArray[np.int16]
    probabilities: NDArray[np.float32]
    provenance: Mapping[str, Any]
    pairing: Mapping[str, Any] | None = None
    plain: bool = False

    @property
    def replicate(self) -> tuple[int | None, str]:
        """What tells runs of one arm apart: the seed and the number in its session."""
        return self.seed, self.number

    @property
    def digest(self) -> str:
        """SHA-256 of the probabilities."""
        return hashlib.sha256(self.probabilities.tobytes()).hexdigest()

    @property
    def config(self) -> RecordedConfig:
        """The configuration that it ran with."""
        return RecordedConfig(self.provenance["config"])

    @property
    def config_digest(self) -> str:
        """First 12 hex digits of the SHA-256 of the configuration as run."""
        text = json.dumps(self.provenance.get("config"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_runs(folder: Path) -> list[Run]:
    """Reads all runs below a folder, ordered by dataset, backbone, method, seed and number.

    Args:
        folder: Any folder; each `predictions.parquet` below it that holds a test split is a run. Of
            a grid (a folder with a `grid.json`) only the runs of its plan are read.

    Raises:
        InputError: The folder is missing, or holds no run, or a damaged table or `grid.json`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the folder of some runs")
    known: dict[str, Samples] = {}
    runs = []
    for path, plain in find_tables(folder).items():
        run = read_run(path)
        if run is not None:
            shared = known.setdefault(run.test_set.digest, run.test_set)
            runs.append(dataclasses.replace(run, test_set=shared, plain=plain))
    if not runs:
        raise InputError(
            f"{folder} holds no {predictions_table.FILENAME} of a test; finish a run first"
        )
    return sorted(
        runs, key=lambda r: (r.dataset, r.backbone or "", r.method, r.seed or 0, r.number)
    )


def read_run(path: Path, split: str = TEST) -> Run | None:
    """Reads one run's predictions table; None if it holds no samples of the split.

    Raises:
        InputError: The file is missing or damaged, lacks a column or its provenance, repeats a
            sample, holds targets, predictions or probabilities out of range,
            or a prediction that is not the most probable class.
    """
    rows, provenance = _read(path)
    rows = rows.filter(pc.field("split") == split)
    if not len(rows):
        return None
    present = set(rows["branch"].unique().to_pylist())
    branch = next((b for b in reversed(METHOD_OF_BRANCH) if b in present), None)
    if branch is None:
        listed = ", ".join(METHOD_OF_BRANCH)
        raise InputError(
            f"predictions table {path} has none of the branches {listed}; run its test again"
        )
    rows = rows.filter(pc.field("branch") == branch)
    index = _integers(rows, "index", path)
    if (np.diff(index) <= 0).any():
        rows = rows.take(np.argsort(index, kind="stable"))
        index = _integers(rows, "index", path)
    config = RecordedConfig(provenance["config"])
    pairing = pairing_of(provenance, path)
    dataset = provenance["datasets"][0]
    test_set = Samples.make(
        path, index, rows["filename"], _integers(rows, "target", path), dataset.get("classes"),
        groups=rows[GROUP] if GROUP in rows.schema.names else None,
    )  # fmt: skip
    probabilities = _probabilities(rows, path)
    predictions = _integers(rows, "prediction", path)
    _check_classes(path, probabilities.shape[1], predictions, test_set)
    _check_agreement(path, probabilities, predictions, test_set)
    return Run(
        path=path,
        method=method_of(config, branch),
        settings=settings_of(config, branch, pairing),
        backbone=config.backbone,
        dataset=dataset.get("title") or dataset["class"].rpartition(".")[2],
        seed=provenance.get("seed"),
        number=Path(provenance["run"]).name,
        test_set=test_set,
        predictions=predictions.astype(np.int16),
        probabilities=probabilities,
        provenance=provenance,
        pairing=pairing,
    )


def validation_of(run: Run) -> Run | None:
    """Reads what a run's checkpoint says about its validation samples.

    Returns:
        None if there is no such table beside its predictions table, or one of another checkpoint.

    Raises:
        InputError: As `read_run`.
    """
    path = predictions_table.validation_path(run.path)
    found = read_run(path, VALIDATION) if path.is_file() else None
    if found is None or found.provenance.get("checkpoint") != run.provenance.get("checkpoint"):
        return None
    return found


def _read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Reads a table's columns (none that is not needed) and its provenance."""
    if not path.is_file():
        raise InputError(f"predictions table {path} does not exist; check the path")
    try:
        rows = pq.read_table(path, read_dictionary=["split", "branch"])
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"predictions table {path} is damaged or cut off ({error}); run its test again"
        ) from error
    for name in (*predictions_table.COLUMNS, "prob_0", "prob_1"):
        if name not in rows.schema.names:
            raise InputError(f"predictions table {path} lacks column {name!r}; it is none of ours")
    _check_types(rows, path)
    return rows, _provenance(rows, path)


def _check_types(rows: pa.Table, path: Path) -> None:
    """Refuses columns of other types than the writer's."""
    for field in rows.schema:
        if field.name.startswith("prob_"):
            fits, wanted = pa.types.is_floating(field.type), "a probability"
        elif field.name in ("index", "target", "prediction"):
            fits, wanted = pa.types.is_integer(field.type), "a whole number"
        else:
            words = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            text = pa.types.is_string(words) or pa.types.is_large_string(words)
            named = (*predictions_table.COLUMNS, GROUP)
            fits, wanted = text or field.name not in named, "text"
        if not fits:
            raise InputError(
                f"predictions table {path}: column {field.name!r} is of type {field.type}, not "
                f"{wanted}; write it by PredictionsWriter"
            )


def _provenance(rows: pa.Table, path: Path) -> dict[str, Any]:
    """Returns what a table says about its making, refusing what does not tell run and data."""
    try:
        found = json.loads((rows.schema.metadata or {}).get(files.PROVENANCE_KEY, b"{}"))
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    datasets = found.get("datasets")
    fits = {
        "config": bool(found.get("config")) and isinstance(found["config"], dict),
        "datasets": isinstance(datasets, list)
        and bool(datasets)
        and all(isinstance(one, dict) and isinstance(one.get("class"), str) for one in datasets)
        and all(isinstance(one.get("title", ""), str) for one in datasets),
        "run": bool(found.get("run")) and isinstance(found["run"], str),
    }
    for key, holds in fits.items():
        if not holds:
            raise InputError(
                f"predictions table {path} has no provenance {key!r}; write it by PredictionsWriter"
            )
    return found


def _integers(rows: pa.Table, column: str, path: Path) -> NDArray[np.int64]:
    """Returns a column as int64, refusing nulls."""
    missing = rows[column].null_count
    if missing:
        raise InputError(
            f"predictions table {path} has no {column} for {missing} samples; "
            "only labelled test sets can be analysed"
        )
    return rows[column].to_numpy().astype(np.int64)


def _probabilities(rows: pa.Table, path: Path) -> NDArray[np.float32]:
    """Returns class probabilities [samples, classes], refusing what is none."""
    names = sorted(name for name in rows.schema.names if name.startswith("prob_"))
    expected = [f"prob_{number}" for number in range(len(names))]
    if names != sorted(expected):
        raise InputError(
            f"predictions table {path} has probabilities {', '.join(names)}, not one a class from "
            "prob_0 on; write it by PredictionsWriter"
        )
    names = expected
    values = np.stack([rows[name].to_numpy().astype(np.float32) for name in names], axis=1)
    bad = np.isnan(values).any(axis=1)
    if bad.any():
        raise InputError(
            f"predictions table {path} has NaN as a probability of sample "
            f"{rows['index'][int(bad.argmax())].as_py()}: its training has failed; train that run "
            "again, or report without it"
        )
    bad = ~((values >= 0) & (values <= 1)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"predictions table {path} has a probability outside [0, 1] for sample "
            f"{rows['index'][row].as_py()}: {values[row].tolist()}; write probabilities, not logits"
        )
    bad = np.abs(values.sum(axis=1) - 1) > 1e-3
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"predictions table {path} has probabilities of sample {rows['index'][row].as_py()} "
            f"that sum to {values[row].sum():.4f}, not 1; write probabilities"
        )
    return values


def _check_classes(
    path: Path, n_classes: int, predictions: NDArray[np.int64], test_set: Samples
) -> None:
    for name, values in (("prediction", predictions), ("target", test_set.targets)):
        if values.min() < 0 or values.max() >= n_classes:
            odd = values.min() if values.min() < 0 else values.max()
            raise InputError(
                f"predictions table {path} has a {name} {odd}, but {n_classes} classes (0 to "
                f"{n_classes - 1}); run its test again"
            )


def _check_agreement(
    path: Path,
    probabilities: NDArray[np.float32],
    predictions: NDArray[np.int64],
    test_set: Samples,
) -> None:
    """Refuses a prediction that another class is clearly more probable than."""
    own = np.take_along_axis(probabilities, predictions[:, np.newaxis], axis=1)[:, 0]
    bad = own < probabilities.max(axis=1) - 1e-6
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"predictions table {path} predicts class {predictions[row]} for sample "
            f"{test_set.index[row]}, but class {int(probabilities[row].argmax())} is the "
            "likeliest; run its test again"
        )
