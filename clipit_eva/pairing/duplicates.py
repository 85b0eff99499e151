"""Equal rows of a bank."""

import hashlib

import numpy as np


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
