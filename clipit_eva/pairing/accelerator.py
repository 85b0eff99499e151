"""What follows a matrix product, on tensors of any device; `cpu` has the same functions."""

import torch

from clipit_eva.pairing.neighbours import Neighbours

_NUMBERS = 1 << 20
"""Numbers in float64 held at a time where single pairs are multiplied (8 MiB)."""


def best_groups(values: torch.Tensor, places: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Finds the largest value of each group, and the k-th largest of these: see `cpu`."""
    maxima = values.view(len(values), places, -1).amax(dim=1)
    return maxima, maxima.topk(k, dim=1).values[:, -1]


def settle(
    values: torch.Tensor,
    maxima: torch.Tensor,
    least: torch.Tensor,
    crowd: int,
    k: int,
    queries: torch.Tensor,
    bank: torch.Tensor,
    bias: torch.Tensor | None,
) -> tuple[Neighbours, torch.Tensor]:
    """Finds each query's rows with the best exact scores among those above a level: see `cpu`."""
    chosen = maxima >= least[:, None]
    complete = chosen.sum(dim=1) <= crowd
    of, columns = _candidates(values, chosen & complete[:, None], least)
    real = columns < len(bank)
    of, columns = of[real], columns[real]
    cosines = _products(of, columns, queries, bank)
    scores = cosines if bias is None else cosines + bias[columns]
    starts = torch.searchsorted(of, torch.arange(len(queries), device=of.device))
    at = of, torch.arange(len(of), device=of.device) - starts[of]
    width = max(k, 1 + int(at[1].max())) if len(of) else k
    table = Neighbours.none(len(queries), width, of.device)
    for tensor, found in zip(table.tensors(), (columns, scores, cosines), strict=True):
        tensor[at] = found
    return table.best(k), complete


def _candidates(
    values: torch.Tensor, chosen: torch.Tensor, least: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the pairs of queries and columns [p] in chosen groups [n, groups], ascending."""
    groups = values.view(len(values), -1, chosen.shape[1])
    of, group = torch.nonzero(chosen, as_tuple=True)
    pair, place = torch.nonzero(groups[of, :, group] >= least[of, None], as_tuple=True)
    return of[pair], group[pair] * groups.shape[1] + place


def _products(
    of: torch.Tensor, columns: torch.Tensor, queries: torch.Tensor, bank: torch.Tensor
) -> torch.Tensor:
    """Returns each pair's inner product [p], float64, each by the same order of operations."""
    step = max(1, _NUMBERS // queries.shape[1])
    products = [
        _pairwise_sum(queries[some].double() * bank[rows])
        for some, rows in zip(of.split(step), columns.split(step), strict=True)
    ]
    return torch.cat(products)


def _pairwise_sum(values: torch.Tensor) -> torch.Tensor:
    """Returns sums of rows [p, d] that depend on nothing but the row: halves are added."""
    while (width := values.shape[1]) > 1:
        half = width // 2
        added = values[:, :half] + values[:, half : 2 * half]
        values = torch.cat([added, values[:, 2 * half :]], dim=1) if width % 2 else added
    return values[:, 0]
