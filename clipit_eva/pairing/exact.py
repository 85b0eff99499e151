"""Exact scores of single pairs, ties and duplicates: what settles the order of candidates."""

import hashlib
import warnings

import numpy as np
import torch

_NUMBERS = 1 << 20
"""Numbers in float64 held at a time where single pairs are multiplied on an accelerator (8 MiB)."""


class Duplicates:
    """Equal rows of a bank, of which the first is compared for all."""

    def __init__(self, bank: np.ndarray, bias: np.ndarray | None) -> None:
        """Finds equal rows.

        Args:
            bank: Rows [M, d], float32.
            bias: What is added to each row's cosines [M], float64: a part of the row.
        """
        first: dict[bytes, int] = {}
        same = np.empty(len(bank), dtype=np.int64)
        for row, values in enumerate(bank):
            content = values.tobytes() if bias is None else values.tobytes() + bias[row].tobytes()
            key = hashlib.blake2b(content, digest_size=16).digest()
            same[row] = first.setdefault(key, row)
        self.distinct = np.unique(same)
        """The first of each group of equal rows, int64."""
        self._ordered = np.argsort(same, kind="stable")
        self._start = np.searchsorted(same[self._ordered], np.arange(len(bank)))
        self._count = np.bincount(same, minlength=len(bank))

    def expand(
        self, rows: np.ndarray, scores: np.ndarray, cosines: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lets equal rows come in with each row found.

        Args:
            rows: The best distinct rows of each query [n, w], int64: k, or all there are.
            scores: Their scores [n, w], float64.
            cosines: Their cosines [n, w], float64.
            k: Number to return.

        Returns:
            The best rows [n, k], those with equal scores in the bank's order, and their cosines.
        """
        copies = np.minimum(self._count[rows], k).ravel()
        if rows.shape[1] == k and (copies == 1).all():
            return rows, cosines
        of = np.repeat(np.arange(rows.size) // rows.shape[1], copies)
        nth = np.arange(len(of)) - np.repeat(np.cumsum(copies) - copies, copies)
        every = self._ordered[np.repeat(self._start[rows.ravel()], copies) + nth]
        order = np.lexsort((every, -np.repeat(scores.ravel(), copies), of))
        starts = np.searchsorted(of, np.arange(len(rows)))
        best = order[starts[:, None] + np.arange(k)]
        return every[best], np.repeat(cosines.ravel(), copies)[best]


class Pairs:
    """Some rows of a bank for each query, in the order of queries and of rows."""

    def __init__(self, of: torch.Tensor, columns: torch.Tensor, count: int) -> None:
        """Takes pairs.

        Args:
            of: The query of each pair [p], int64, ascending.
            columns: The row of each pair [p], int64, ascending for each query.
            count: Number of queries.
        """
        self.of = of
        self.columns = columns
        self.count = count
        self._starts = of.new_zeros(count + 1)
        torch.cumsum(torch.bincount(of, minlength=count), 0, out=self._starts[1:])

    def where(self, kept: torch.Tensor) -> "Pairs":
        """Returns the pairs of which `kept` [p] is true."""
        return Pairs(self.of[kept], self.columns[kept], self.count)

    def products(self, queries: torch.Tensor, bank: torch.Tensor) -> torch.Tensor:
        """Returns each pair's inner product [p], each by the same order of operations.

        Args:
            queries: Rows [n, d], float32 or float64.
            bank: Rows [m, d] of the same kind.
        """
        if not len(self.of):
            return queries.new_empty(0)
        if queries.device.type == "cpu":
            pattern = _pattern(self._starts, self.columns, queries.dtype, (self.count, len(bank)))
            return torch.sparse.sampled_addmm(pattern, queries, bank.T, beta=0.0).values()
        step = max(1, _NUMBERS // queries.shape[1])
        parts = zip(self.of.split(step), self.columns.split(step), strict=True)
        return torch.cat([_pairwise_sum(queries[of] * bank[columns]) for of, columns in parts])

    def table(self, values: torch.Tensor, fill: float, least: int = 1) -> torch.Tensor:
        """Returns pairs' values [p] as a row for each query [n, w], filled up at its end.

        Args:
            values: A value of each pair.
            fill: What is put where a query has no more pairs.
            least: Least width.
        """
        place = torch.arange(len(self.of), device=self.of.device) - self._starts[self.of]
        width = max(least, int(self._starts.diff().max()))
        table = values.new_full((self.count, width), fill)
        table[self.of, place] = values
        return table


def _pattern(
    starts: torch.Tensor, columns: torch.Tensor, dtype: torch.dtype, size: tuple[int, int]
) -> torch.Tensor:
    """Returns the sparse matrix that says which products are wanted."""
    values = torch.zeros(len(columns), dtype=dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR", category=UserWarning)
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)


def _pairwise_sum(values: torch.Tensor) -> torch.Tensor:
    """Returns sums of rows [p, d] that depend on nothing but the row: halves are added."""
    while (width := values.shape[1]) > 1:
        half = width // 2
        added = values[:, :half] + values[:, half : 2 * half]
        values = torch.cat([added, values[:, 2 * half :]], dim=1) if width % 2 else added
    return values[:, 0]
