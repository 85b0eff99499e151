"""Batches of training: what eva gives, and what its metrics take."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from eva.core.models.modules.typings import INPUT_BATCH
from lightning.pytorch.utilities.types import STEP_OUTPUT

from clipit_eva.data.few_labels import LABELLED
from clipit_eva.errors import InputError
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


def report_rows(metadata: Mapping[str, Any] | None) -> torch.Tensor:
    """Returns the report rows [B, k] of a batch, int64.

    Raises:
        InputError: The batch names no report.
    """
    if metadata is None or "report_index" not in metadata:
        raise InputError(
            "the training batches name no report; set PAIRING_TABLE, or DISTILL_WEIGHT=0"
        )
    return metadata["report_index"]


def with_labels(
    outputs: HeadOutputs, targets: Any, metadata: Mapping[str, Any] | None
) -> tuple[HeadOutputs, Any]:
    """Returns outputs and targets of the samples whose label is known, all unless data tell."""
    if metadata is None or LABELLED not in metadata:
        return outputs, targets
    rows = metadata[LABELLED].nonzero().squeeze(1).to(targets.device, non_blocking=True)
    return HeadOutputs(*(output[rows] for output in outputs)), targets[rows]


def positive_probability(logits: torch.Tensor) -> torch.Tensor:
    """Returns what metrics of a binary task take: the second class's probability [B].

    Of one logit a sample [B], or of two [B, 2].
    """
    return logits.sigmoid() if logits.ndim == 1 else logits.softmax(dim=-1)[:, 1]


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
