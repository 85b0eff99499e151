"""Exact nearest neighbours by cosine similarity, in blocks.

Matrix products in low precision say which rows can be among the best, with a bound on their error
(`candidates`); the scores of these are then computed in float64 one by one (`cpu`, `accelerator`).
So the result depends neither on the sizes of blocks nor on the order in which a matrix product
adds.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from tqdm import tqdm

from clipit_eva.errors import InputError
from clipit_eva.pairing.block import BankBlock
from clipit_eva.pairing.duplicates import Duplicates
from clipit_eva.pairing.neighbours import Neighbours

QUERY_BLOCK = 1 << 10
"""Queries compared with a block of the bank at a time."""

BANK_BLOCK = 1 << 15
"""Rows of the bank compared with a block of queries at a time."""

_SCORES = 1 << 23
"""Approximate scores that a thread of a CPU holds at a time."""

_SAMPLE = 256
"""Queries by which the range of low-precision products is chosen."""


def top_k(
    queries: np.ndarray,
    bank: np.ndarray,
    k: int,
    *,
    bias: np.ndarray | None = None,
    block: int = QUERY_BLOCK,
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
        device: Where products run.

    Returns:
        Rows of the bank [N, k], int64, best first, and their cosines [N, k], float32.

    Raises:
        InputError: A row is not finite.
    """
    duplicates = Duplicates(bank, bias)
    best = Neighbours.none(len(queries), min(k, len(duplicates.distinct)))
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    if not len(queries):
        return indices, cosines
    sample = _rows(queries, slice(None, None, math.ceil(len(queries) / _SAMPLE)), device)
    blocks = range(0, len(duplicates.distinct), bank_block)
    for start in tqdm(blocks, desc="Pairing", unit="block", disable=len(blocks) < 2):
        rows = duplicates.distinct[start : start + bank_block]
        with _full_precision():
            _compare(queries, BankBlock(rows, bank, bias, k, sample), best, block)
    if not torch.isfinite(best.scores).all():
        raise InputError("an embedding is not finite: check the weights and the images")
    for part in _parts(len(queries), block):
        rows, scores, exact = (tensor.numpy() for tensor in best.at(part).tensors())
        indices[part], cosines[part] = duplicates.expand(rows, scores, exact, k)
    return indices, cosines


def _compare(queries: np.ndarray, bank: BankBlock, best: Neighbours, block: int) -> None:
    """Takes the neighbours of all queries in a block of the bank into the best known ones."""

    @torch.inference_mode()
    def compare(part: slice) -> torch.Tensor:
        known = best.at(part)
        found, sure = bank.neighbours(_rows(queries, part, bank.device), known.floor(bank.device))
        found.scores[~sure] = -math.inf
        known.merge(found)
        return part.start + torch.nonzero(~sure)[:, 0].cpu()

    @torch.inference_mode()
    def search(part: slice) -> None:
        places = left[part]
        known = best.at(places)
        some = _rows(queries, places.numpy(), bank.device)
        known.merge(bank.search(some, known.floor(bank.device)))
        best.put(places, known)

    if bank.device.type == "cpu":
        block = max(1, min(block, _SCORES // len(bank)))
    parts = _parts(len(queries), block)
    with _side_by_side(bank.device) as map_parts:
        unsure = map_parts(compare, parts)
        bar = tqdm(unsure, desc="Pairing", unit="block", total=len(parts), disable=len(parts) < 2)
        left = torch.cat(list(bar))  # together: full precision reads the whole bank
        for _ in map_parts(search, _parts(len(left), block)):
            pass


@contextlib.contextmanager
def _side_by_side(device: torch.device) -> Iterator[Callable[..., Iterator]]:
    """Gives a `map` that runs on as many threads of a CPU as PyTorch would use for one product.

    Each product then has one thread: less is spent on waiting, and all else runs side by side too.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield map
        return
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:  # an interrupted pairing waits only for the blocks that have begun
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # the default of new threads, which the pool's have changed


def _parts(count: int, size: int) -> list[slice]:
    """Returns 0..count in parts of a size."""
    return [slice(start, start + size) for start in range(0, count, size)]


def _rows(
    queries: np.ndarray, part: slice | np.ndarray, device: torch.device | str
) -> torch.Tensor:
    """Returns some queries on the device: a copy, as the input may be a read-only memory map."""
    return torch.from_numpy(np.array(queries[part])).to(device)


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keeps float32 products in float32: the error of TF32 is not bounded for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
