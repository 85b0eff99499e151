"""Exact nearest neighbours by cosine similarity, in blocks.

A float32 matrix product gives each query's best rows of the bank; those that can be among the k
best are scored again in float64. A bound on the product's error says which they are, or that more
could be than were kept: such queries are compared with the whole bank in float64. So the result
depends neither on the sizes of blocks nor on the order in which a matrix product adds.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from clipit_eva.errors import InputError
from clipit_eva.progress_bars import progress

QUERY_BLOCK = 1 << 10
"""Queries compared at a time."""

BANK_BLOCK = 1 << 13
"""Rows of the bank compared at a time."""

_MARGIN = 16
"""Rows beyond the k best that are kept of a float32 product."""

_ROUNDING = 2.0**-23
"""Twice the largest relative error of one operation in float32."""

_ROUNDING_64 = 2.0**-52
"""The same in float64."""

_NUMBERS = 1 << 22
"""Numbers in float64 held at a time (32 MiB)."""


@torch.inference_mode()
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

    Ties go to the earlier bank row.

    Args:
        queries: Unit-length rows [N, d], float32.
        bank: Unit-length rows [M, d], float32.
        k: Number of neighbours, 1 to M.
        bias: What is added to the cosines of each bank row [M], float64; `None` adds nothing.
        block: Queries compared at a time.
        bank_block: Bank rows compared at a time; with `block` it bounds the memory beside the
            inputs, one copy of the bank and the result.
        device: Where products run.

    Returns:
        Rows of the bank [N, k], int64, best first, and their cosines [N, k], float32.

    Raises:
        InputError: A row is not finite.
    """
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    rows = _tensor(bank, device)
    added = None if bias is None else torch.from_numpy(np.array(bias)).to(device)
    starts = range(0, len(queries), block)
    with _full_precision():
        for start in progress(starts, desc="Pairing", unit="block", disable=len(starts) < 2):
            part = _tensor(queries[start : start + block], device)
            found, similar, sure = _by_product(part, rows, added, k, bank_block)
            left = torch.nonzero(~sure)[:, 0]
            for some in left.split(max(1, _NUMBERS // len(bank))) if len(left) else ():
                found[some], similar[some] = _in_full(part[some], rows, added, k, bank_block)
            indices[start : start + block] = found.cpu()
            cosines[start : start + block] = similar.cpu()
    return indices, cosines


def _by_product(
    queries: torch.Tensor, bank: torch.Tensor, bias: torch.Tensor | None, k: int, bank_block: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns the best rows by a float32 product, their cosines, and which are proven [n].

    The k-th best true score is at least the k-th best of the product less its error. A row that
    reaches it stands at most another error below in the product: if the last row kept does not
    reach that level, all that do are kept.
    """
    scores = queries.new_empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for start in range(0, len(bank), bank_block):
        product = queries @ bank[start : start + bank_block].T
        if bias is not None:
            product += bias[start : start + bank_block].float()
        best = product.topk(min(k + _MARGIN, product.shape[1]), sorted=False)
        scores = torch.cat([scores, best.values], dim=1)
        rows = torch.cat([rows, best.indices + start], dim=1)
        scores, places = scores.topk(min(k + _MARGIN, scores.shape[1]))
        rows = rows.gather(1, places)
    terms = (queries.shape[1] + 2) * queries.norm(dim=1).double() * float(bank.norm(dim=1).max())
    error = _ROUNDING * (terms + (0 if bias is None else 2 * bias.abs().max()))
    level = scores[:, k - 1].double() - 2 * error
    sure = (scores[:, -1] < level) | (scores.shape[1] == len(bank))
    rows, order = rows.sort(dim=1)  # of equal scores the earlier row comes first
    chosen = scores.gather(1, order) >= level[:, None]
    return *_exact(queries, bank, bias, k, rows, chosen & sure[:, None]), sure


def _in_full(
    queries: torch.Tensor, bank: torch.Tensor, bias: torch.Tensor | None, k: int, bank_block: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the best rows and their cosines, found by float64 products with the whole bank."""
    products = [queries.double() @ part.double().T for part in bank.split(bank_block)]
    scores = torch.cat(products, dim=1) + (0 if bias is None else bias)
    error = _ROUNDING_64 * (queries.shape[1] + 2) * (1 + scores.abs().max())
    chosen = scores >= scores.topk(k).values[:, -1:] - 2 * error
    every = torch.arange(len(bank), device=bank.device).expand_as(chosen)
    return _exact(queries, bank, bias, k, every, chosen)


def _exact(
    queries: torch.Tensor,
    bank: torch.Tensor,
    bias: torch.Tensor | None,
    k: int,
    rows: torch.Tensor,
    chosen: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the k best of the chosen rows [n, w], ascending, by float64, and their cosines."""
    of, place = torch.nonzero(chosen, as_tuple=True)
    size = max(1, _NUMBERS // queries.shape[1])
    pairs = zip(of.split(size), rows[of, place].split(size), strict=True)
    found = torch.cat([_inner_products(queries[one], bank[other]) for one, other in pairs])
    cosines = torch.full(rows.shape, -torch.inf, dtype=torch.float64, device=rows.device)
    cosines[of, place] = found
    scores = cosines if bias is None else cosines + bias[rows]
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return rows.gather(1, best), cosines.gather(1, best)


def _inner_products(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Returns inner products of float32 rows in float64, added in one order: halves to halves.

    Products of float32 are exact in float64: only the order of sums could change the result.
    """
    values = one.double() * other
    while (width := values.shape[1]) > 1:
        half = width // 2
        added = values[:, :half] + values[:, half : 2 * half]
        values = torch.cat([added, values[:, 2 * half :]], dim=1) if width % 2 else added
    return values[:, 0]


def _tensor(rows: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """Returns rows on the device: a copy, as the input may be a read-only memory map."""
    tensor = torch.from_numpy(np.array(rows)).to(device)
    if not tensor.sum().isfinite():
        raise InputError("an embedding is not finite: check the weights, images and texts")
    return tensor


@contextlib.contextmanager
def _full_precision() -> Iterator[None]:
    """Keeps float32 products in float32: the error of TF32 is not bounded for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
