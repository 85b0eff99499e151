"""Exact scores of single pairs, ties and duplicates: what settles the order of candidates."""

import dataclasses
import hashlib

import numpy as np

_PAIRS = 1 << 10
"""Pairs whose rows are held in float64 at a time."""

_SCORES = 1 << 22
"""Scores of a full comparison held at a time (32 MiB)."""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The best rows of each query.

    Attributes:
        rows: Rows of the bank [n, k], int64, best first.
        scores: Cosine + bias [n, k], float64.
        cosines: Cosines [n, k], float64.
    """

    rows: np.ndarray
    scores: np.ndarray
    cosines: np.ndarray


class Bank:
    """A bank whose equal rows are compared once."""

    def __init__(self, values: np.ndarray, bias: np.ndarray | None) -> None:
        """Finds equal rows.

        Args:
            values: Unit-length rows [M, d], float32.
            bias: What is added to each row's cosines [M], float64; `None` adds nothing.
        """
        self.values = values
        self.bias = bias
        first: dict[bytes, int] = {}
        same = np.empty(len(values), dtype=np.int64)
        for row in range(len(values)):
            content = np.ascontiguousarray(values[row]).tobytes()
            if bias is not None:
                content += bias[row].tobytes()
            key = hashlib.blake2b(content, digest_size=16).digest()
            same[row] = first.setdefault(key, row)
        self.distinct = np.unique(same)
        """The first of each group of equal rows, int64."""
        self._ordered = np.argsort(same, kind="stable")
        self._start = np.searchsorted(same[self._ordered], np.arange(len(values)))
        self._count = np.bincount(same, minlength=len(values))

    def scores(self, queries: np.ndarray, of: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns cosines of single pairs [p], float64, each by the same order of operations.

        Args:
            queries: Unit-length rows [n, d], float32.
            of: The query of each pair [p], int64.
            rows: The bank row of each pair [p], int64.
        """
        cosines = np.empty(len(rows))
        for start in range(0, len(rows), _PAIRS):
            part = slice(start, start + _PAIRS)
            left = queries[of[part]].astype(np.float64)
            right = np.take(self.values, rows[part], axis=0).astype(np.float64)
            cosines[part] = np.einsum("pd,pd->p", left, right)
        return cosines

    def settle(self, queries: np.ndarray, of: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
        """Orders candidates by exact score, then by row; equal rows come in with each candidate.

        Args:
            queries: Unit-length rows [n, d], float32.
            of: The query of each candidate [p], int64.
            rows: The candidates [p], rows among `distinct`, int64.
            k: Number to return; every query has that many with its candidates' equal rows.
        """
        cosines = self.scores(queries, of, rows)
        copies = np.minimum(self._count[rows], k)
        if (copies > 1).any():
            of, cosines = np.repeat(of, copies), np.repeat(cosines, copies)
            nth = np.arange(len(of)) - np.repeat(np.cumsum(copies) - copies, copies)
            rows = self._ordered[np.repeat(self._start[rows], copies) + nth]
        scores = cosines if self.bias is None else cosines + self.bias[rows]
        order = np.lexsort((rows, -scores, of))
        starts = np.searchsorted(of[order], np.arange(len(queries)))
        best = order[starts[:, None] + np.arange(k)]
        return Neighbours(rows[best], scores[best], cosines[best])

    def search(self, queries: np.ndarray, k: int, floor: np.ndarray, error: float) -> Neighbours:
        """Compares queries with every row: for those whose best rows are too close to call.

        Args:
            queries: Unit-length rows [n, d], float32.
            k: Number of neighbours.
            floor: A score that the k-th neighbour reaches [n], float64.
            error: Bound on the error of a float32 product.
        """
        step = max(1, _SCORES // len(self.distinct))
        parts = []
        for start in range(0, len(queries), step):
            part = queries[start : start + step]
            of, rows = self._near(part, floor[start : start + step] - error)
            parts.append(self.settle(part, of, rows, k))
        return Neighbours(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in dataclasses.fields(Neighbours)
            )
        )

    def _near(self, queries: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the pairs (query, distinct row) with an approximate score of at least `floor`."""
        pairs = []
        step = max(1, _SCORES // len(queries))
        for start in range(0, len(self.distinct), step):
            rows = self.distinct[start : start + step]
            scores = (queries @ np.take(self.values, rows, axis=0).T).astype(np.float64)
            if self.bias is not None:
                scores += self.bias[rows]
            of, columns = np.nonzero(scores >= floor[:, None])
            pairs.append((of, rows[columns]))
        return np.concatenate([of for of, _ in pairs]), np.concatenate([r for _, r in pairs])
