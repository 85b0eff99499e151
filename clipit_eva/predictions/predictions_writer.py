"""The callback that writes what a run predicts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from eva.core.models.modules.typings import INPUT_BATCH
from lightning.pytorch import callbacks
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DistributedSampler, SequentialSampler
from typing_extensions import override

from clipit_eva import files, provenance
from clipit_eva.data.groups import groups_of
from clipit_eva.data.wrapper import eva_dataset, eva_index
from clipit_eva.errors import InputError
from clipit_eva.eva import exits, recorder
from clipit_eva.eva.dataset_folders import check_folders
from clipit_eva.predictions import predictions_table
from clipit_eva.predictions.counted import finite_rows, keep_first, spoil

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


class PredictionsWriter(callbacks.BasePredictionWriter):
    """Writes the predictions table of `eva fit` (its test stage) and of `eva predict`.

    Beside it goes, under a name with `-val`, what the selected checkpoint says about validation
    samples (eva's validate stage), by which probabilities can be calibrated.

    The model's prediction is written under `branch`; further branches that a step returns under
    `branches` (CLIP-IT's vision branch) under their own names.
    """

    def __init__(
        self,
        branch: Literal["fused", "vision", "text"],
        output_file: str | None = None,
        inputs: Mapping[str, str | None] | None = None,
    ) -> None:
        """Initializes the callback.

        Args:
            branch: What the model's prediction rests on.
            output_file: The table to write; `None` means `predictions.parquet` in the run's
                folder.
            inputs: Files that the run was made from, by name: their digests go into the
                provenance (files that are not there when training starts are left out).
        """
        super().__init__(write_interval="batch")
        self._branch = branch
        self._output_file = output_file
        self._inputs = dict(inputs or {})
        self._digests: dict[str, str] = {}
        self._rows: list[pd.DataFrame] = []
        self._not_finite = 0

    @override
    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        _check_datasets(trainer, stage)
        if stage in ("fit", "predict") and not self._digests:
            for name, path in self._inputs.items():
                if path is not None and Path(path).is_file():
                    self._digests[name] = files.sha256_file(path)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._not_finite = 0
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._rows = []

    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        loader = _loaders(trainer.val_dataloaders)[dataloader_idx]
        positions = _positions(trainer, loader, batch_idx, len(outputs["targets"]))
        branches = {self._branch: outputs["predictions"]}
        if trainer.state.fn == TrainerFn.VALIDATING and _in_order(loader.sampler):
            split = "val" if dataloader_idx == 0 else f"val_{dataloader_idx}"
            self._add(loader.dataset, split, positions, outputs["targets"], branches)
        else:
            self._not_finite += int((~finite_rows(branches)).sum())
        _count_once(trainer, outputs, positions, len(loader.dataset))

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if count := sum(_gather([self._not_finite])):
            spoil(pl_module.metrics.validation_metrics)  # type: ignore[union-attr]
            _logger.warning("The logits of %d validation samples are not finite.", count)

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._write(trainer, validation=True)

    @override
    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._rows = []
        self._not_finite = 0
        for loader in _loaders(trainer.test_dataloaders):
            _check_order(loader.sampler)

    @override
    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # Runs before the module's own hook, which may turn logits into something else.
        branches = {self._branch: outputs["predictions"], **outputs.get("branches", {})}
        loader = _loaders(trainer.test_dataloaders)[dataloader_idx]
        positions = _positions(trainer, loader, batch_idx, len(outputs["targets"]))
        split = "test" if dataloader_idx == 0 else f"test_{dataloader_idx}"
        self._add(loader.dataset, split, positions, outputs["targets"], branches)
        _count_once(trainer, outputs, positions, len(loader.dataset))

    @override
    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if sum(_gather([self._not_finite])):
            spoil(pl_module.metrics.test_metrics)  # type: ignore[union-attr]

    @override
    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer)

    @override
    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._rows = []
        self._not_finite = 0

    @override
    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        if not isinstance(prediction, Mapping):
            _check_trained_later(trainer, pl_module)
            return
        targets = INPUT_BATCH(*batch).targets
        dataset = _loaders(trainer.predict_dataloaders)[dataloader_idx].dataset
        split = "predict" if dataloader_idx == 0 else f"predict_{dataloader_idx}"
        self._add(dataset, split, list(batch_indices or []), targets, prediction)

    @override
    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer)

    def _add(
        self,
        dataset: Any,
        split: str,
        positions: Sequence[int],
        targets: Any,
        branches: Mapping[str, torch.Tensor],
    ) -> None:
        """Keeps the rows of a batch, those without a number for an answer left out."""
        positions = [position for position in positions if position < len(dataset)]
        inner = eva_dataset(dataset)
        finite = finite_rows(branches)[: len(positions)].cpu().numpy()
        self._not_finite += int((~finite).sum())
        kept = np.flatnonzero(finite)
        indices = [eva_index(dataset, positions[row]) for row in kept]
        names = [inner.filename(index) for index in indices]
        groups = groups_of(inner, indices)
        labels = targets.long().cpu().numpy()[kept]
        for branch, logits in branches.items():
            probs = predictions_table.probabilities(logits)[kept]
            self._rows.append(
                predictions_table.make_rows(
                    split, branch, indices, names, labels, probs, groups=groups
                )
            )

    def _write(self, trainer: pl.Trainer, validation: bool = False) -> None:
        """Writes the table of all processes; that of validation samples under its own name."""
        parts, self._rows = _gather(self._rows), []
        missing = sum(_gather([self._not_finite]))
        run = str(trainer.log_dir)  # a broadcast: every process has to ask
        if not trainer.is_global_zero:
            return
        if validation and not parts:
            return
        if not parts:
            _logger.info(
                "No predictions table yet: the model predicts classes only after training; a "
                "trained run predicts by clipit_eva.models.TrainedCLIPITModule"
            )
            return
        path = Path(self._output_file or Path(run) / predictions_table.FILENAME)
        if validation:
            path = predictions_table.validation_path(path)
        predictions_table.write_predictions(
            pd.concat(parts, ignore_index=True),
            path,
            {**self._provenance(trainer, run), "not_finite": missing},
        )
        if validation:
            return
        print(f"Predictions table: {path}")
        if missing:
            exits.fail_at_end(
                InputError(
                    f"{path} lacks {missing} samples, whose logits are not finite; lower LR_VALUE, "
                    "or set PRECISION=32-true, and train the run again"
                )
            )

    def _provenance(self, trainer: pl.Trainer, run: str) -> dict[str, Any]:
        """Returns how the table was made."""
        # A trained run's module has read its checkpoint itself.
        own = getattr(trainer.lightning_module, "checkpoint_file", None)
        more: dict[str, Path] = getattr(trainer.lightning_module, "input_files", {})
        checkpoint = getattr(trainer, "ckpt_path", None) or own
        return {
            "kind": predictions_table.KIND,
            "config": recorder.config_as_run(),
            "seed": provenance.seed(),
            "run": run,
            "checkpoint": None if checkpoint is None else files.sha256_file(checkpoint),
            "inputs": self._digests | {name: files.sha256_file(more[name]) for name in more},
            "datasets": self._datasets(trainer),
            "versions": provenance.versions(),
            "git_revision": provenance.git_revision(),
        }

    @staticmethod
    def _datasets(trainer: pl.Trainer) -> list[dict[str, Any]]:
        """Returns class, length, class names and title of the datasets that were predicted."""
        loaders = _loaders(trainer.test_dataloaders or trainer.predict_dataloaders)
        if trainer.state.fn == TrainerFn.VALIDATING:
            loaders = _loaders(trainer.val_dataloaders)
        images = [eva_dataset(loader.dataset) for loader in loaders]
        return [
            {
                "class": provenance.class_path(one),
                "length": len(loader.dataset),
                "classes": loader.dataset.classes,
                # One's own datasets share a class.
                **({"title": title} if (title := getattr(one, "title", None)) else {}),
            }
            for one, loader in zip(images, loaders, strict=True)
        ]


def _check_datasets(trainer: pl.Trainer, stage: str) -> None:
    """Raises InputError if the data on disk are not what the datasets take them for.

    In `fit` the test's datasets are read as well: what is wrong with them is to be told before the
    training, not after.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if data is None:
        return
    if stage == "fit":
        data.setup("test")
    stages = (stage, "test") if stage == "fit" else (stage,)
    given = [item for name in stages for item in data.datasets.tolist(name)]
    flat = [item for part in given for item in (part if isinstance(part, list) else [part])]
    check_folders(eva_dataset(dataset) for dataset in flat if dataset is not None)


def _check_trained_later(trainer: pl.Trainer, model: pl.LightningModule) -> None:
    """Raises InputError if a model that does not classify yet is not going to be trained either.

    It is in `predict_fit`, whose prediction is there for other callbacks.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if data is None or getattr(data.datasets, "train", None) is None:
        raise InputError(
            f"model: {type(model).__name__} predicts no classes before training, so there is "
            "nothing for PredictionsWriter; to predict by a trained run use "
            "clipit_eva.models.TrainedCLIPITModule with its CHECKPOINT, as predict/*.yaml does"
        )


def _loaders(loaders: Any) -> list[Any]:
    """Returns one or several data loaders as a list."""
    return loaders if isinstance(loaders, list) else [loaders]


def _positions(trainer: pl.Trainer, loader: Any, batch: int, size: int) -> list[int]:
    """Returns the positions in the dataset of a batch's samples; those behind its end repeat."""
    first = batch * (loader.batch_size or 1)
    return [(first + offset) * trainer.world_size + trainer.global_rank for offset in range(size)]


def _count_once(trainer: pl.Trainer, outputs: Any, positions: Sequence[int], length: int) -> None:
    """Leaves each sample of a batch to one process's metrics."""
    if trainer.world_size > 1:
        count = sum(position < length for position in positions)
        keep_first(outputs, count, trainer.lightning_module)


def _check_order(sampler: Any) -> None:
    """Raises InputError if test samples come in an order that their positions do not tell.

    In the test stage Lightning tells no sample's index.
    """
    if _in_order(sampler):
        return
    raise InputError(
        f"dataloaders.test draws samples by {type(sampler).__name__}, so that predictions cannot "
        "be told apart; set `shuffle: false` and no sampler"
    )


def _in_order(sampler: Any) -> bool:
    """Returns whether samples come in the order of their positions."""
    if isinstance(sampler, DistributedSampler):
        return not sampler.shuffle
    return isinstance(sampler, SequentialSampler)


def _gather(rows: list[_T]) -> list[_T]:
    """Returns the items of all processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, rows)
    return [part for share in gathered for part in share]
