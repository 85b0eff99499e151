"""Exact nearest neighbours by cosine similarity, in blocks.

Matrix products in low precision choose candidates, with a bound on their error (`candidates`); the
candidates' scores are then computed in float64 one by one (`exact`). So the result depends neither
on the sizes of blocks, nor on the device, nor on the order in which a matrix product adds up.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from tqdm import tqdm

from clipit_eva.pairing.candidates import BankBlock, Candidates, bank_blocks, merge
from clipit_eva.pairing.exact import Bank

BLOCK = 256
"""Queries compared with a block of the bank at a time: their similarities stay in a CPU's cache."""

BANK_BLOCK = 1 << 15
"""Rows of the bank compared with a block of queries at a time."""

_EXTRA = 16
"""Candidates kept beyond k, so that the exact order among the best can be settled."""


def top_k(
    queries: np.ndarray,
    bank: np.ndarray,
    k: int,
    *,
    bias: np.ndarray | None = None,
    block: int = BLOCK,
    bank_block: int = BANK_BLOCK,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k bank rows with the largest score for each query: cosine + bias.

    Ties go to the earlier bank row. Equal rows of the bank are compared once.

    Args:
        queries: Unit-length rows [N, d], float32.
        bank: Unit-length rows [M, d], float32.
        k: Number of neighbours, 1 to M.
        bias: What is added to the cosines of each bank row [M], float64; `None` adds nothing.
        block: Queries compared at a time.
        bank_block: Bank rows compared at a time; with `block` it bounds the memory beside the
            inputs and the result.
        device: Where the matrix products run.

    Returns:
        Rows of the bank [N, k], int64, best first, and their cosines [N, k], float32.
    """
    prepared = Bank(bank, bias)
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    make_blocks = functools.partial(bank_blocks, prepared.distinct, bank, bias, bank_block, device)
    # One block is prepared once, several anew for each block of queries: memory stays bounded.
    fixed = list(make_blocks()) if len(prepared.distinct) <= bank_block else None
    starts = range(0, len(queries), block)
    with _full_precision():
        for start in tqdm(starts, desc="Pairing", unit="block", disable=len(starts) < 2):
            part = slice(start, start + block)
            rows = np.array(queries[part])  # a copy: the input may be a read-only memory map
            found = _candidates(rows, fixed or make_blocks(), min(k + _EXTRA, len(bank)), device)
            indices[part], cosines[part] = _settle(rows, prepared, found, k)
    return indices, cosines


def _candidates(
    queries: np.ndarray, blocks: Iterable[BankBlock], width: int, device: torch.device | str
) -> Candidates:
    """Returns the rows of all blocks that look best to each query."""
    on_device = torch.from_numpy(queries).to(device)
    found = (block.candidates(on_device, min(width, len(block.rows))) for block in blocks)
    return functools.reduce(lambda one, other: merge(one, other, width), found)


def _settle(
    queries: np.ndarray, bank: Bank, found: Candidates, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the best rows [n, k] of one block of queries, and their cosines."""
    ranked = -np.sort(-found.scores, axis=1)
    kth = ranked[:, min(k, ranked.shape[1]) - 1]
    of, columns = np.nonzero(found.scores >= (kth - 2 * found.error)[:, None])
    best = bank.settle(queries, of, found.rows[of, columns], k)
    # A row left out may still be as good as the k-th: then all rows are looked at.
    (open_queries,) = np.nonzero(found.excluded >= best.scores[:, -1])
    if len(open_queries):
        floor = best.scores[open_queries, -1]
        error = 2.0**-23 * (queries.shape[1] + 4)
        more = bank.search(queries[open_queries], k, floor, error)
        best.rows[open_queries], best.cosines[open_queries] = more.rows, more.cosines
    return best.rows, best.cosines.astype(np.float32)


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keeps float32 products in float32: the error of TF32 is not bounded for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
