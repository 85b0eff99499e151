"""Which samples count in metrics."""

import math

import pytest
import torch
from eva.core.metrics import AverageLoss
from torch import nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from clipit_eva.predictions.counted import finite_rows, keep_first, spoil

LOGITS = torch.tensor([[2.0, 0.0], [0.5, 1.0], [0.0, 3.0]])
TARGETS = torch.tensor([0, 0, 1])


class Module(nn.Module):
    criterion = nn.CrossEntropyLoss()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_metrics_of_what_is_kept_are_those_of_its_samples(count: int) -> None:
    loss = nn.functional.cross_entropy(LOGITS, TARGETS)
    outputs = {"predictions": LOGITS, "targets": TARGETS, "loss": loss}
    keep_first(outputs, count, Module())
    assert torch.equal(outputs["predictions"], LOGITS[:count])
    assert torch.equal(outputs["targets"], TARGETS[:count])
    metric = AverageLoss()
    metric.update(outputs["loss"])
    metric.update(torch.tensor([5.0]))
    each = nn.functional.cross_entropy(LOGITS[:count], TARGETS[:count], reduction="sum")
    assert metric.compute() == pytest.approx((each.item() + 5) / (count + 1))


def test_one_logit_is_kept_as_two_are() -> None:
    class Binary(nn.Module):
        criterion = nn.BCEWithLogitsLoss()

    logits, targets = torch.tensor([1.0, -2.0]), torch.tensor([1, 1])
    outputs = {"predictions": logits, "targets": targets, "loss": torch.tensor(9.0)}
    keep_first(outputs, 1, Binary())
    expected = nn.functional.binary_cross_entropy_with_logits(logits[:1], targets[:1].float())
    assert torch.equal(outputs["loss"], expected[None])


def test_a_sample_counts_if_all_its_branches_are_finite() -> None:
    fused = torch.tensor([[0.0, math.nan], [0.0, 1.0], [math.inf, 1.0]])
    vision = torch.tensor([0.0, -math.inf, 2.0])
    assert finite_rows({"fused": fused}).tolist() == [False, True, False]
    assert finite_rows({"vision": vision}).tolist() == [True, False, True]
    assert not finite_rows({"fused": fused, "vision": vision}).any()


def test_spoiled_metrics_are_nan_until_they_are_reset() -> None:
    metrics = MetricCollection([MulticlassAccuracy(num_classes=2)])
    metrics.update(LOGITS, TARGETS)
    spoil(metrics)
    assert all(math.isnan(value) for value in metrics.compute().values())
    metrics.reset()
    metrics.update(LOGITS, TARGETS)
    assert all(0 < value < 1 for value in metrics.compute().values())
