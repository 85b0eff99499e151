"""Batches that a dataset reads at once instead of sample by sample."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import default_collate

from clipit_eva.eva import compat

UNKNOWN_TARGET = -1
"""Target of a sample without a label, in a dataset; null in the table."""


class WholeBatch:
    """A batch that torch's data loader need not put together.

    Attributes:
        parts: Data [B, ...], targets [B], metadata of the batch.
    """

    def __init__(self, data: Any, targets: Any, metadata: dict[str, Any]) -> None:
        self.parts = [data, targets, metadata]


def _unwrap(batch: Sequence[WholeBatch], **_: Any) -> list[Any]:
    """Returns what a data loader hands on of the only batch that `__getitems__` gave it."""
    return batch[0].parts


compat.collate_functions()[WholeBatch] = _unwrap


def collate_metadata(samples: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """Returns the metadata of a batch, from that of its samples; empty if there is none."""
    return default_collate([sample or {} for sample in samples]) if any(samples) else {}
