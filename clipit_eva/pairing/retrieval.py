"""Exact nearest neighbours by cosine similarity, in blocks."""

import numpy as np
import torch
from tqdm import tqdm

BLOCK = 1024
"""Queries compared with the whole bank at a time."""

_EXTRA = 8
"""Candidates kept beyond k, so that the exact order among the best can be settled."""

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
    coarse = queries @ bank.T
    width = min(k + _EXTRA, len(bank))
    values, candidates = coarse.topk(width, dim=1)
    indices, exact = _settle(queries, bank, candidates, k)
    # A row left out of the candidates is at most as similar as the last of them, plus rounding.
    # Where that reaches the k-th neighbour, look at the whole bank instead.
    if width < len(bank):
        open_rows = (values[:, -1].double() + _ROUNDING >= exact[:, -1]).nonzero().flatten()
        everything = torch.arange(len(bank)).expand(1, -1)
        for row in open_rows.tolist():
            indices[row], exact[row] = _settle(queries[row : row + 1], bank, everything, k)
    return indices.numpy(), exact.float().numpy()


def _settle(
    queries: torch.Tensor, bank: torch.Tensor, candidates: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Orders candidates [n, c] by exact cosine, then by bank row; returns the best k of each."""
    candidates = candidates.sort(dim=1).values
    rows = bank[candidates].double()
    exact = (queries.double().unsqueeze(1) * rows).sum(dim=-1)
    order = exact.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return candidates.gather(1, order), exact.gather(1, order)
