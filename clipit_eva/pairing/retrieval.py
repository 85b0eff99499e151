"""Exact nearest neighbours by cosine similarity, in blocks."""

import numpy as np
import torch
from tqdm import tqdm

BLOCK = 1024
"""Queries compared with the whole bank at a time."""

_EXTRA = 8
"""Candidates kept beyond k, so that the exact order among the best can be settled."""

_WIDENING = 8
"""How many times as many more candidates are kept where they did not settle it."""

_SETTLED_NUMBERS = 1 << 23
"""Float64 numbers held at a time for exact cosines (64 MiB)."""

_ROUNDING = 1e-5
"""Bound on the float32 rounding error of a cosine of up to a few thousand terms."""


def top_k(
    queries: np.ndarray, bank: np.ndarray, k: int, block: int = BLOCK
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k bank rows most similar to each query.

    Float32 matrix products choose candidates; the candidates' similarities are then computed in
    float64 one by one, so that the result depends neither on the block size nor on the order in
    which a matrix product adds up. Ties go to the earlier bank row.

    Args:
        queries: Unit-length rows [N, d], float32.
        bank: Unit-length rows [M, d], float32.
        k: Number of neighbours, 1 to M.
        block: Queries compared at a time; bounds the memory to about `block` x M floats.

    Returns:
        Rows of the bank [N, k], int64, best first, and their cosines [N, k], float32.
    """
    bank_tensor = torch.from_numpy(np.ascontiguousarray(bank))
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    starts = range(0, len(queries), block)
    for start in tqdm(starts, desc="Pairing", unit="block", disable=len(starts) < 2):
        part = slice(start, start + block)
        rows = torch.from_numpy(np.ascontiguousarray(queries[part]))
        indices[part], cosines[part] = _top_k_block(rows, bank_tensor, k)
    return indices, cosines


def _top_k_block(
    queries: torch.Tensor, bank: torch.Tensor, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the neighbours of one block of queries."""
    indices, exact = _select(queries, bank, queries @ bank.T, k, _EXTRA)
    return indices.numpy(), exact.float().numpy()


def _select(
    queries: torch.Tensor, bank: torch.Tensor, coarse: torch.Tensor, k: int, extra: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the best k [n, k] of each query, given approximate cosines [n, M]."""
    width = min(k + extra, len(bank))
    values, candidates = coarse.topk(width, dim=1)
    indices, exact = _settle(queries, bank, candidates, k)
    if width == len(bank):
        return indices, exact
    # A row left out of the candidates is at most as similar as the last of them, plus rounding.
    # Where that reaches the k-th neighbour (as among duplicate reports), look at more rows.
    rows = (values[:, -1].double() + _ROUNDING >= exact[:, -1]).nonzero().flatten()
    if len(rows):
        more = _select(queries[rows], bank, coarse[rows], k, _WIDENING * extra)
        indices[rows], exact[rows] = more
    return indices, exact


def _settle(
    queries: torch.Tensor, bank: torch.Tensor, candidates: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Orders candidates [n, c] by exact cosine, then by bank row; returns the best k of each."""
    candidates = candidates.sort(dim=1).values
    rows = max(1, _SETTLED_NUMBERS // (candidates.shape[1] * bank.shape[1]))
    exact = torch.cat(
        [
            (part.double().unsqueeze(1) * bank[chosen].double()).sum(dim=-1)
            for part, chosen in zip(queries.split(rows), candidates.split(rows), strict=True)
        ]
    )
    order = exact.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return candidates.gather(1, order), exact.gather(1, order)
