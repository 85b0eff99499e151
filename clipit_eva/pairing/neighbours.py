"""The best rows of a bank for each query."""

import dataclasses
import math

import torch


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

    def best(self, k: int) -> "Neighbours":
        """Returns the k best ones of neighbours in another order: that of the bank for ties."""
        order = self.scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
        return Neighbours(*(tensor.gather(1, order) for tensor in self.tensors()))

    def merge(self, later: "Neighbours") -> None:
        """Takes in the neighbours of the same queries among later rows of the bank."""
        pairs = list(zip(self.tensors(), later.tensors(), strict=True))
        both = Neighbours(*(torch.cat([old, new.to(old.device)], dim=1) for old, new in pairs))
        best = both.best(self.rows.shape[1])
        for (tensor, _), new in zip(pairs, best.tensors(), strict=True):
            tensor[:] = new
