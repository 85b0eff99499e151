"""Which samples of a batch count: each once, and none without a number for an answer."""

from collections.abc import Mapping
from typing import Any

import torch

from clipit_eva.eva import compat


def keep_first(outputs: dict[str, Any], count: int, module: Any) -> None:
    """Leaves a batch's first samples for eva's metrics, in place.

    Several processes share the samples evenly, so that the last batches repeat some. The loss is
    spread over its samples, so that eva's AverageLoss weighs samples, not batches.

    Args:
        outputs: What a step returned: `predictions` and `targets` [B, ...], `loss`, a scalar.
        count: How many samples to keep, at most B.
        module: The module of the step; its `criterion` is the loss.
    """
    if count < len(outputs["targets"]):
        for name in ("predictions", "targets"):
            outputs[name] = outputs[name][:count]
        logits, targets = outputs["predictions"], outputs["targets"]
        targets = targets.long() if logits.ndim > 1 else targets.to(logits.dtype)
        outputs["loss"] = module.criterion(logits, targets)
    outputs["loss"] = outputs["loss"].expand(count)


def finite_rows(branches: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Returns which samples have finite logits in all branches, bool [B].

    Args:
        branches: Logits [B] or [B, C] of each branch.
    """
    return torch.stack(
        [torch.isfinite(logits).reshape(len(logits), -1).all(dim=1) for logits in branches.values()]
    ).all(dim=0)


def spoil(metrics: Any) -> None:
    """Makes metrics NaN: of logits that are no numbers, argmax would make class 0.

    Args:
        metrics: A torchmetrics collection whose epoch is about to end.
    """
    for metric in metrics.values():
        compat.set_computed(metric, torch.tensor(float("nan")))
