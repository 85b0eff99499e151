"""Batches of training: what eva gives, and what its metrics take."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from eva.core.models.modules.typings import INPUT_BATCH
from lightning.pytorch.utilities.types import STEP_OUTPUT

from clipit_eva.data.few_labels import LABELLED
from clipit_eva.eva import compat
from clipit_eva.models.heads import HeadOutputs


def logs_now(module: pl.LightningModule) -> bool:
    """Returns whether the trainer's loggers keep the metrics of a module's training step."""
    trainer = compat.recorded_trainer(module)
    return trainer is not None and (module.global_step + 1) % trainer.log_every_n_steps == 0


def unpack(batch: Any) -> tuple[Any, Any, dict[str, Any] | None]:
    """Returns the images, targets and metadata of an eva batch."""
    images, targets, metadata = INPUT_BATCH(*batch)
    return images, targets, metadata


def with_labels(
    outputs: HeadOutputs, targets: Any, metadata: Mapping[str, Any] | None
) -> tuple[HeadOutputs, Any]:
    """Returns outputs and targets of the samples whose label is known, all unless data tell."""
    if metadata is None or LABELLED not in metadata:
        return outputs, targets
    rows = metadata[LABELLED].nonzero().squeeze(1).to(targets.device, non_blocking=True)
    return HeadOutputs(*(output[rows] for output in outputs)), targets[rows]


def step_output(
    loss: torch.Tensor, outputs: HeadOutputs, targets: Any, metadata: Any
) -> STEP_OUTPUT:
    """Returns a step's output in eva's form, with the vision branch beside the prediction."""
    return {
        "loss": loss,
        "targets": targets,
        "predictions": outputs.fused.squeeze(-1),
        "metadata": metadata,
        "branches": {"vision": outputs.vision.squeeze(-1)},
    }
