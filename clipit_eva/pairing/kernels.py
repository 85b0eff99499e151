"""What follows a matrix product on a CPU: candidates and their exact scores, query by query.

Compiled on first use, and kept on disk where that is possible. Nothing here is parallel: callers
run several queries' worth of it in threads, as it holds no lock of Python's.
"""

import heapq
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable)


def _compiled(**options: Any) -> Callable[[_Function], _Function]:
    """Compiles a function, and keeps the result unless no folder can be written to."""

    def compiled(function: _Function) -> _Function:
        try:
            made = numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no folder: neither beside the file nor in the user's cache
            made = numba.njit(nogil=True, **options)(function)
        return cast(_Function, made)

    return compiled


@_compiled()
def best_groups(values: np.ndarray, k: int, maxima: np.ndarray, kth: np.ndarray) -> None:
    """Finds the largest value of each group, and the k-th largest of these.

    Args:
        values: Approximate scores [n, places * groups]: place p of group g is at p * groups + g.
        k: At most the number of groups.
        maxima: Where the groups' largest values come to [n, groups].
        kth: Where the k-th largest of these comes to [n].
    """
    groups = maxima.shape[1]
    for query in range(len(values)):
        largest = maxima[query]
        largest[:] = values[query, :groups]
        for start in range(groups, values.shape[1], groups):
            np.maximum(largest, values[query, start : start + groups], largest)
        best = [largest[group] for group in range(k)]
        heapq.heapify(best)
        for group in range(k, groups):
            if largest[group] > best[0]:
                heapq.heapreplace(best, largest[group])
        kth[query] = best[0]


@_compiled()
def settle(
    values: np.ndarray,
    maxima: np.ndarray,
    least: np.ndarray,
    crowd: int,
    queries: np.ndarray,
    bank: np.ndarray,
    bias: np.ndarray,
    found: tuple[np.ndarray, np.ndarray, np.ndarray],
    complete: np.ndarray,
) -> None:
    """Finds each query's rows with the best exact scores among those above a level.

    Args:
        values: Approximate scores [n, places * groups].
        maxima: The groups' largest ones [n, groups].
        least: Rows with a lower approximate score are not looked at [n].
        crowd: Queries for which more groups than this must be looked at are left out.
        queries: Rows [n, d], float32.
        bank: Rows [m, d], float32.
        bias: What is added to each row's inner products [m], float64; or nothing [0].
        found: Where columns [n, k], int64, scores and inner products [n, k], float64, come to, best
            first, the earlier row where scores are equal; places beyond are left as they are.
        complete: Where it comes to whether a query was not left out [n].
    """
    columns = np.empty(len(bank), np.int64)
    products = np.empty(len(bank), np.float64)
    query = np.empty(queries.shape[1], np.float64)
    for one in range(len(queries)):
        complete[one] = (maxima[one] >= least[one]).sum() <= crowd
        if not complete[one]:
            continue
        count = _candidates(values[one], maxima[one], least[one], columns)
        query[:] = queries[one]
        for place in range(count):
            products[place] = _inner_product(query, bank[columns[place]])
        scores = products[:count] if not len(bias) else products[:count] + bias[columns[:count]]
        order = np.argsort(-scores, kind="mergesort")[: found[0].shape[1]]
        for nth, place in enumerate(order):
            found[0][one, nth] = columns[place]
            found[1][one, nth] = scores[place]
            found[2][one, nth] = products[place]


@_compiled()
def _candidates(values: np.ndarray, maxima: np.ndarray, least: float, columns: np.ndarray) -> int:
    """Writes the columns of a query's values from `least` on, ascending; returns their number."""
    places, count = len(values) // len(maxima), 0
    for group in range(len(maxima)):
        if maxima[group] >= least:
            for place in range(min(places, len(columns) - group * places)):
                if values[place * len(maxima) + group] >= least:
                    columns[count] = group * places + place
                    count += 1
    return count


@_compiled(fastmath={"reassoc", "contract", "nsz"})
def _inner_product(query: np.ndarray, row: np.ndarray) -> float:
    """Returns an inner product, added in the one order that the compiler has chosen.

    Products of float32 are exact in float64: only the order of sums could change the result.

    Args:
        query: Numbers in float32, as float64 [d].
        row: Numbers [d], float32.
    """
    total = 0.0
    for place in range(len(query)):
        total += query[place] * np.float64(row[place])
    return total
