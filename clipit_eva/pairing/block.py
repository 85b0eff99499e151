"""The nearest neighbours of queries among a block of a bank's rows, exactly."""

import dataclasses
import math
import threading
from types import ModuleType

import numpy as np
import torch

from clipit_eva.errors import InputError
from clipit_eva.pairing import accelerator
from clipit_eva.pairing.candidates import (
    WIDEST,
    ByteProduct,
    FloatProduct,
    fast_float,
    multiplies_bytes,
)
from clipit_eva.pairing.neighbours import Neighbours

_GROUP = 16
"""Scores of which the largest is looked at first."""


class BankBlock:
    """Some rows of a bank, ready to be compared with many queries.

    Products leave out the rows' mean, which is added in float64: embeddings of one kind of text
    lie in a narrow cone, and what they share would only add to the error.
    """

    def __init__(
        self,
        rows: np.ndarray,
        bank: np.ndarray,
        bias: np.ndarray | None,
        k: int,
        sample: torch.Tensor,
    ) -> None:
        """Prepares the block.

        Args:
            rows: The block's rows of the bank [m], int64, ascending.
            bank: All rows [M, d], float32.
            bias: What is added to each row's cosines [M], float64.
            k: Number of neighbours that will be looked for.
            sample: Some queries [s, d], float32, on the device where products shall run.

        Raises:
            InputError: A row is not finite.
        """
        device = self.device = sample.device
        self._k = min(k, len(rows))
        self._crowd = 64 + 8 * self._k
        self._places = _GROUP if len(rows) >= 4 * _GROUP * self._k else 1
        self._rows = torch.from_numpy(rows).to(device)
        self._values = torch.from_numpy(np.take(bank, rows, axis=0)).to(device)
        self._bias = None if bias is None else torch.from_numpy(bias[rows]).to(device)
        self._mean = self._values.mean(dim=0, dtype=torch.float64).float()
        if not torch.isfinite(self._mean).all():
            raise InputError("an embedding is not finite: check the weights and the texts")
        self._steps = _steps(device)
        self._prepared: FloatProduct | None = None
        self._lock = threading.Lock()
        self._fast = self._choose(sample)

    def __len__(self) -> int:
        return len(self._rows)

    def neighbours(
        self, queries: torch.Tensor, floor: torch.Tensor
    ) -> tuple[Neighbours, torch.Tensor]:
        """Finds each query's best rows of the block, at most k.

        Args:
            queries: Unit-length rows [n, d], float32.
            floor: Rows with a lower score do not matter [n], float64.

        Returns:
            The neighbours, and for which queries they are sure [n]; others need `search`.
        """
        return self._compare(self._fast, queries, floor, crowd=self._crowd)

    def search(self, queries: torch.Tensor, floor: torch.Tensor) -> Neighbours:
        """Finds each query's best rows of the block, at most k, however close they are.

        Args:
            queries: Unit-length rows [n, d], float32.
            floor: Rows with a lower score do not matter [n], float64.
        """
        return self._compare(self._precise, queries, floor, crowd=len(self._rows))[0]

    def _compare(
        self,
        product: ByteProduct | FloatProduct,
        queries: torch.Tensor,
        floor: torch.Tensor,
        crowd: int,
    ) -> tuple[Neighbours, torch.Tensor]:
        """Returns the best of all rows whose score may reach a level, and where they are sure [n].

        The level is what each query's k-th best score hardly ever falls short of, or the floor.
        Queries are left out for which more than `crowd` groups must be looked at.
        """
        scores = product.scores(queries)
        values = scores.values
        if values.dtype == torch.bfloat16:  # unknown to NumPy
            values = values.float()
        maxima, kth = self._steps.best_groups(values, self._places, self._k)
        level = torch.maximum(scores.truth(kth) - product.likely * scores.error, floor)
        least = scores.level(level).to(values.dtype)
        found, complete = self._steps.settle(
            values, maxima, least, crowd, self._k, queries, self._values, self._bias
        )
        sure = complete & ((level <= floor) | (found.scores[:, -1] >= level))
        return dataclasses.replace(found, rows=self._rows[found.rows]), sure

    def _choose(self, sample: torch.Tensor) -> ByteProduct | FloatProduct:
        """Returns the fastest product that leaves few rows to look at for most queries."""
        narrow = sample.shape[1] <= WIDEST
        if narrow and sample.device.type == "cpu" and multiplies_bytes():
            product = ByteProduct(*self._inputs(), sample, self._k)
            floor = torch.full((len(sample),), -math.inf, dtype=torch.float64)
            _, sure = self._compare(product, sample, floor, crowd=self._crowd)
            if sure.double().mean() > 0.9:
                return product
        dtype = fast_float(sample.device) if self._bias is None else torch.float32
        return self._precise if dtype == torch.float32 else FloatProduct(*self._inputs(), dtype)

    @property
    def _precise(self) -> FloatProduct:
        """A product whose error leaves few rows to look at, however close they are."""
        with self._lock:  # threads that need it all wait for the one that prepares it
            if self._prepared is None:
                self._prepared = FloatProduct(*self._inputs(), torch.float32)
            return self._prepared

    def _inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns the rows without their mean, the mean and the bias, laid out for products.

        Row g * places + p comes to p * groups + g, so that whole vectors are compared where the
        maximum of a group is taken.
        """
        rows = torch.arange(len(self._rows) + -len(self._rows) % self._places)
        rows = rows.clamp_(max=len(self._rows) - 1)  # the last one again, in its own group
        rows = rows.view(-1, self._places).T.flatten().to(self._rows.device)
        bias = (
            self._values.new_zeros(len(self._rows)).double() if self._bias is None else self._bias
        )
        return self._values[rows] - self._mean, self._mean.double(), bias[rows]


def _steps(device: torch.device) -> ModuleType:
    """Returns the functions for what follows a matrix product on a device."""
    if device.type == "cpu":
        from clipit_eva.pairing import cpu

        return cpu
    return accelerator
