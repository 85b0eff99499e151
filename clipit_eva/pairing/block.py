"""The nearest neighbours of queries among a block of a bank's rows, exactly."""

import dataclasses
import functools
import math

import numpy as np
import torch

from clipit_eva.pairing.candidates import (
    WIDEST,
    ByteProduct,
    FloatProduct,
    fast_float,
    multiplies_bytes,
)
from clipit_eva.pairing.exact import Pairs

_GROUP = 16
"""Scores of which the largest is looked at first."""

_SEARCHED = 1 << 21
"""Scores of a full-precision product held at a time."""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The best rows of each query, best first, the earlier row where scores are equal.

    Attributes:
        rows: Rows of the bank [n, k], int64.
        scores: Cosine + bias [n, k], float64; -inf where fewer than k rows matter.
        cosines: Cosines [n, k], float64.
    """

    rows: torch.Tensor
    scores: torch.Tensor
    cosines: torch.Tensor

    @classmethod
    def none(cls, count: int, k: int, device: torch.device | str = "cpu") -> "Neighbours":
        """Returns places [count, k] for neighbours, none of which is known."""
        return cls(
            rows=torch.zeros(count, k, dtype=torch.int64, device=device),
            scores=torch.full((count, k), -math.inf, dtype=torch.float64, device=device),
            cosines=torch.full((count, k), math.nan, dtype=torch.float64, device=device),
        )

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns rows, scores and cosines."""
        return self.rows, self.scores, self.cosines

    def at(self, part: slice | torch.Tensor) -> "Neighbours":
        """Returns some queries' neighbours: a view of a slice, a copy of places [m], int64."""
        return Neighbours(*(tensor[part] for tensor in self.tensors()))

    def floor(self, device: torch.device) -> torch.Tensor:
        """Returns each query's k-th best score [n], float64, on the device."""
        return self.scores[:, -1].to(device)

    def put(self, places: torch.Tensor, other: "Neighbours") -> None:
        """Replaces the neighbours of the queries at `places` [m], int64."""
        for tensor, new in zip(self.tensors(), other.tensors(), strict=True):
            tensor[places] = new

    def merge(self, later: "Neighbours") -> None:
        """Takes in the neighbours of the same queries among later rows of the bank."""
        scores = torch.cat([self.scores, later.scores.to(self.scores.device)], dim=1)
        order = scores.sort(dim=1, descending=True, stable=True).indices
        order = order[:, : self.scores.shape[1]]
        for tensor, new in zip(self.tensors(), later.tensors(), strict=True):
            tensor[:] = torch.cat([tensor, new.to(tensor.device)], dim=1).gather(1, order)


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
        """
        device = self.device = sample.device
        self._k = min(k, len(rows))
        self._places = _GROUP if len(rows) >= 4 * _GROUP * self._k else 1
        self._rows = torch.from_numpy(rows).to(device)
        self._values = torch.from_numpy(np.take(bank, rows, axis=0)).to(device)
        self._exact = self._values.double()
        added = np.zeros(1) if bias is None else bias[rows]
        self._bias = torch.from_numpy(added).to(device).expand(len(rows))
        self._plain = bias is None
        self._mean = self._exact.mean(dim=0).float()
        self._fast = self._choose(sample)

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
        return self._settle(queries, floor, *self._candidates(self._fast, queries, floor))

    def search(self, queries: torch.Tensor, floor: torch.Tensor) -> Neighbours:
        """Finds each query's best rows of the block, at most k, however close they are.

        Args:
            queries: Unit-length rows [n, d], float32.
            floor: Rows with a lower score do not matter [n], float64.
        """
        found = Neighbours.none(len(queries), self._k, queries.device)
        everything = torch.arange(len(queries), device=queries.device)
        for part in everything.split(max(1, _SEARCHED // len(self._rows))):
            some, least = queries[part], floor[part]
            looked_at = self._candidates(self._precise, some, least, crowd=math.inf)
            found.put(part, self._settle(some, least, *looked_at)[0])
        return found

    def _candidates(
        self,
        product: ByteProduct | FloatProduct,
        queries: torch.Tensor,
        floor: torch.Tensor,
        crowd: float | None = None,
    ) -> tuple[Pairs, torch.Tensor]:
        """Returns all pairs whose score may reach a level [n], float64, and that level.

        The level is what each query's k-th best score hardly ever falls short of, or the floor;
        infinite for queries with so many candidates that they are left out.
        """
        scores = product.scores(queries)
        groups = scores.values.view(len(queries), self._places, -1)
        maxima = groups.amax(dim=1)
        kth = maxima.float().topk(self._k, dim=1).values[:, -1]
        level = torch.maximum(scores.truth(kth) - product.likely * scores.error, floor)
        least = scores.level(level)
        chosen = maxima >= least[:, None]
        crowded = chosen.sum(dim=1) > (64 + 8 * self._k if crowd is None else crowd)
        if crowded.any():
            chosen[crowded] = False
            level[crowded] = math.inf
        of, group = torch.nonzero(chosen, as_tuple=True)
        inside = groups[of, :, group] >= least[of, None]
        pair, place = torch.nonzero(inside, as_tuple=True)
        of, columns = of[pair], group[pair] * self._places + place
        if len(self._rows) % self._places:
            real = columns < len(self._rows)
            of, columns = of[real], columns[real]
        return Pairs(of, columns, len(queries)), level

    def _settle(
        self, queries: torch.Tensor, floor: torch.Tensor, pairs: Pairs, level: torch.Tensor
    ) -> tuple[Neighbours, torch.Tensor]:
        """Returns the best of the candidates, and whether no other row can be among them [n]."""
        error = (queries.shape[1] + 4) * 2.0**-23
        rough = self._scored(pairs, pairs.products(queries, self._values).double())
        kth = pairs.table(rough, -math.inf, self._k).topk(self._k, dim=1).values[:, -1]
        near = rough >= torch.maximum(kth - 2 * error, floor - error)[pairs.of]
        pairs = pairs.where(near)
        cosines = pairs.products(queries.double(), self._exact)
        scores = pairs.table(self._scored(pairs, cosines), -math.inf, self._k)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        scores, order = scores[:, : self._k], order[:, : self._k]
        columns = pairs.table(pairs.columns, 0, self._k).gather(1, order)
        cosines = pairs.table(cosines, math.nan, self._k).gather(1, order)
        sure = (level <= floor) | (scores[:, -1] >= level)
        return Neighbours(self._rows[columns], scores, cosines), sure

    def _scored(self, pairs: Pairs, cosines: torch.Tensor) -> torch.Tensor:
        """Returns the scores [p] of pairs with these cosines [p], float64."""
        return cosines if self._plain else cosines + self._bias[pairs.columns]

    def _choose(self, sample: torch.Tensor) -> ByteProduct | FloatProduct:
        """Returns the fastest product that leaves few rows to look at for most queries."""
        narrow = sample.shape[1] <= WIDEST
        if narrow and sample.device.type == "cpu" and multiplies_bytes():
            product = ByteProduct(*self._inputs(), sample, self._k)
            floor = torch.full((len(sample),), -math.inf, dtype=torch.float64)
            _, level = self._candidates(product, sample, floor)
            if torch.isfinite(level).double().mean() > 0.9:
                return product
        dtype = fast_float(sample.device) if self._plain else torch.float32
        return self._precise if dtype == torch.float32 else FloatProduct(*self._inputs(), dtype)

    @functools.cached_property
    def _precise(self) -> FloatProduct:
        """A product whose error leaves few rows to look at, however close they are."""
        return FloatProduct(*self._inputs(), torch.float32)

    def _inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns the rows without their mean, the mean and the bias, laid out for products.

        Row g * places + p comes to p * groups + g, so that whole vectors are compared where the
        maximum of a group is taken.
        """
        rows = torch.arange(len(self._rows) + -len(self._rows) % self._places)
        rows = rows.clamp_(max=len(self._rows) - 1)  # the last one again, in its own group
        rows = rows.view(-1, self._places).T.flatten().to(self._rows.device)
        return self._values[rows] - self._mean, self._mean.double(), self._bias[rows]
