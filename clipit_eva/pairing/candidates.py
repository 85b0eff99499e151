"""Which rows of a bank can be among a query's best: fast matrix products with a bounded error."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch

_GROUP = 32
"""Similarities of which the largest is looked at first: sorting group maxima is cheap."""


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The rows that look best to each query, and how good any other row can be.

    Attributes:
        rows: Rows of the bank [n, w], int64, in no order.
        scores: Their approximate scores [n, w], float64.
        error: How far a true score can lie above or below [n], float64.
        complete: Whether these are all rows of the bank.
    """

    rows: np.ndarray
    scores: np.ndarray
    error: np.ndarray
    complete: bool

    @property
    def excluded(self) -> np.ndarray:
        """Bound on the true scores of all other rows [n], float64."""
        if self.complete:
            return np.full(len(self.rows), -np.inf)
        return self.scores.min(axis=1) + self.error


class BankBlock:
    """Some rows of a bank, ready for products with many queries.

    The products leave out the rows' mean, which is added in float64: embeddings of one kind of text
    lie in a narrow cone, and what they share would only add to the error.
    """

    def __init__(
        self,
        rows: np.ndarray,
        bank: np.ndarray,
        bias: np.ndarray | None,
        device: torch.device | str,
    ) -> None:
        """Prepares the block.

        Args:
            rows: The block's rows of the bank [m], int64.
            bank: All rows [M, d], float32.
            bias: What is added to each row's cosines [M], float64.
            device: Where the products run.
        """
        self.rows = rows
        values = np.take(bank, rows, axis=0)
        self._mean = values.mean(axis=0, dtype=np.float64)
        centred = torch.from_numpy(values - self._mean.astype(np.float32)).to(device)
        self._mean = self._mean.astype(np.float32).astype(np.float64)  # as it was subtracted
        self._dtype = _fast_dtype(device)
        padding = -len(rows) % _GROUP
        padded = torch.nn.functional.pad(centred, (0, 0, 0, padding))
        self._values = padded.to(self._dtype)
        self._largest = _largest_norm(self._values)
        # What the low precision and the subtraction round off:
        self._residue = _largest_norm(padded - self._values.to(padded)) + 2.0**-23
        self._bias = None if bias is None else torch.from_numpy(bias[rows]).to(device).float()
        self._bias_error = 0.0 if bias is None else float(np.abs(bias).max()) * 2.0**-22
        self._similarities = torch.empty(0, len(padded), dtype=self._dtype, device=device)

    def candidates(self, queries: torch.Tensor, width: int) -> Candidates:
        """Finds each query's best rows of the block.

        Args:
            queries: Unit-length rows [n, d], float32, on the device.
            width: Number of rows, at most the block's.
        """
        low = queries.to(self._dtype)
        if len(low) > len(self._similarities):  # kept: fresh memory costs more than the product
            self._similarities = self._similarities.new_empty(len(low), len(self._values))
        similarities = torch.mm(low, self._values.T, out=self._similarities[: len(low)])
        similarities[:, len(self.rows) :] = -math.inf
        if self._bias is not None:
            similarities = similarities.float()
            similarities[:, : len(self.rows)] += self._bias
        values, columns = _largest(similarities, width)
        shift = queries.double().cpu().numpy() @ self._mean
        scores = values.double().cpu().numpy()
        return Candidates(
            rows=self.rows[columns.cpu().numpy()],
            scores=scores + shift[:, None],
            error=self._error(queries, low, scores),
            complete=width == len(self.rows),
        )

    def _error(self, queries: torch.Tensor, low: torch.Tensor, scores: np.ndarray) -> np.ndarray:
        """Bounds the error of the approximate scores [n] by the Cauchy-Schwarz inequality."""
        norm = low.float().norm(dim=1).double().cpu().numpy()
        residue = (queries - low.float()).norm(dim=1).double().cpu().numpy()
        of_inputs = residue * (self._largest + self._residue) + norm * self._residue
        of_sums = queries.shape[1] * 2.0**-23 * norm * self._largest
        # The product itself is rounded to the low precision, and so is a score close to it.
        of_output = torch.finfo(self._dtype).eps * np.abs(scores).max(axis=1)
        return of_inputs + of_sums + of_output + self._bias_error + 2.0**-22


def bank_blocks(
    rows: np.ndarray,
    bank: np.ndarray,
    bias: np.ndarray | None,
    size: int,
    device: torch.device | str,
) -> Iterator[BankBlock]:
    """Yields a bank in blocks; see `BankBlock`.

    Args:
        rows: Rows of the bank to look at, int64.
        bank: All rows [M, d], float32.
        bias: What is added to each row's cosines [M], float64.
        size: Rows of a block.
        device: Where the products run.
    """
    for start in range(0, len(rows), size):
        yield BankBlock(rows[start : start + size], bank, bias, device)


def merge(one: Candidates, other: Candidates, width: int) -> Candidates:
    """Returns the best of the candidates of two blocks.

    Args:
        one: Candidates of a block.
        other: Candidates of the same queries in another block.
        width: Number of rows to keep.
    """
    rows = np.concatenate([one.rows, other.rows], axis=1)
    scores = np.concatenate([one.scores, other.scores], axis=1)
    keep = min(width, scores.shape[1])
    best = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
    return Candidates(
        rows=np.take_along_axis(rows, best, axis=1),
        scores=np.take_along_axis(scores, best, axis=1),
        error=np.maximum(one.error, other.error),
        complete=one.complete and other.complete and keep == scores.shape[1],
    )


def _largest(similarities: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns each row's largest values and their columns [n, width], in no order.

    The `width` largest values lie in the `width` groups with the largest maxima.
    """
    count, columns = similarities.shape
    groups = columns // _GROUP
    if groups <= width:
        return similarities.float().topk(width, sorted=False)
    grouped = similarities.view(count, _GROUP, groups)  # column = place * groups + group
    chosen = grouped.amax(dim=1).float().topk(width, sorted=False).indices
    inside = grouped.gather(2, chosen.unsqueeze(1).expand(-1, _GROUP, -1)).flatten(1)
    values, positions = inside.float().topk(width, sorted=False)
    group = chosen.gather(1, positions % width)
    return values, positions.div(width, rounding_mode="floor") * groups + group


def _largest_norm(rows: torch.Tensor) -> float:
    """Returns the largest length of a row."""
    return float(rows.float().norm(dim=1).max())


def _fast_dtype(device: torch.device | str) -> torch.dtype:
    """Returns bfloat16 on a CPU that multiplies it natively, about four times as fast."""
    native = torch.device(device).type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32
