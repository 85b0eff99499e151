"""Exact nearest neighbours against float64 brute force."""

import statistics
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipit_eva.errors import InputError
from clipit_eva.pairing import retrieval
from clipit_eva.pairing.retrieval import top_k


def brute_force(queries: np.ndarray, bank: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best k rows by cosine, ties by row; equal rows get equal cosines."""
    cosines = np.empty((len(queries), len(bank)))
    for q, query in enumerate(queries.astype(np.float64)):
        for b, row in enumerate(bank.astype(np.float64)):
            cosines[q, b] = np.sum(query * row)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(cosines, order, axis=1)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random(count: int, width: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, width)))


@settings(max_examples=60, deadline=None)
@given(
    queries=st.integers(1, 12),
    bank=st.integers(1, 40),
    width=st.integers(2, 24),
    distinct=st.integers(1, 40),
    block=st.integers(1, 13),
    seed=st.integers(0, 2**16),
    data=st.data(),
)
def test_equals_brute_force_with_many_duplicates(
    queries: int, bank: int, width: int, distinct: int, block: int, seed: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, bank))
    rows = random(distinct, width, seed)
    rows = rows[np.random.default_rng(seed).integers(distinct, size=bank)]
    wanted = random(queries, width, seed + 1)
    indices, cosines = top_k(wanted, rows, k, block=block)
    expected, values = brute_force(wanted, rows, k)
    assert indices.dtype == np.int64
    assert cosines.dtype == np.float32
    np.testing.assert_allclose(cosines, values, rtol=0, atol=1e-6)
    assert indices.tolist() == expected.tolist()


def test_all_rows_alike_come_in_the_order_of_the_bank() -> None:
    bank = np.repeat(random(1, 8, 0), 100, axis=0)
    indices, cosines = top_k(random(5, 8, 1), bank, 7)
    assert indices.tolist() == [list(range(7))] * 5
    assert (cosines == cosines[:, :1]).all()


def test_rows_closer_than_float32_can_tell_are_ordered_exactly() -> None:
    """More near-ties than candidates: the coarse order among them is noise."""
    generator = np.random.default_rng(0)
    base = generator.normal(size=64)
    bank = unit(base + 1e-7 * generator.normal(size=(200, 64)))
    queries = unit(base + 0.1 * generator.normal(size=(10, 64)))
    indices, _ = top_k(queries, bank, 3)
    assert indices.tolist() == brute_force(queries, bank, 3)[0].tolist()


def test_result_is_bit_equal_for_any_block_size() -> None:
    queries, bank = random(50, 512, 0), random(300, 512, 1)
    first = top_k(queries, bank, 4, block=50)
    for block in (1, 7, 49, 1024):
        other = top_k(queries, bank, 4, block=block)
        assert np.array_equal(first[0], other[0])
        assert np.array_equal(first[1], other[1])


def test_whole_bank_can_be_asked_for() -> None:
    queries, bank = random(4, 16, 0), random(30, 16, 1)
    indices, cosines = top_k(queries, bank, 30)
    assert np.array_equal(np.sort(indices), np.tile(np.arange(30), (4, 1)))
    assert (np.diff(cosines) <= 0).all()


def test_inputs_may_be_views_and_read_only() -> None:
    queries, bank = random(6, 16, 0), random(40, 16, 1)
    expected = top_k(queries, bank, 2)[0]
    bank_view, query_view = np.asfortranarray(bank), queries[::-1]
    bank_view.flags.writeable = False
    assert np.array_equal(top_k(query_view, bank_view, 2)[0], expected[::-1])


@pytest.mark.slow
def test_large_retrieval_equals_float64_matrix_products() -> None:
    queries, bank = random(5000, 512, 0), random(10000, 512, 1)
    indices, _ = top_k(queries, bank, 1)
    expected = (queries.astype(float) @ bank.astype(float).T).argmax(axis=1)
    assert np.array_equal(indices[:, 0], expected)


def test_bias_is_added_to_the_cosines_but_not_returned_with_them() -> None:
    queries, bank = random(40, 32, 0), random(300, 32, 1)
    bias = np.random.default_rng(2).normal(scale=0.2, size=300)
    scores = queries.astype(float) @ bank.astype(float).T
    expected = np.argsort(-(scores + bias), axis=1, kind="stable")[:, :4]
    indices, cosines = top_k(queries, bank, 4, bias=bias, block=7)
    assert indices.tolist() == expected.tolist()
    np.testing.assert_allclose(cosines, np.take_along_axis(scores, expected, 1), atol=1e-6)


@pytest.mark.parametrize("bank_block", [1, 33, 100, 1000])
def test_result_is_bit_equal_for_any_block_of_the_bank(bank_block: int) -> None:
    queries, bank = random(20, 64, 0), random(700, 64, 1)
    bank[350:400] = bank[17]
    first = top_k(queries, bank, 9)
    other = top_k(queries, bank, 9, bank_block=bank_block)
    assert np.array_equal(first[0], other[0])
    assert np.array_equal(first[1], other[1])


def test_a_narrow_cone_of_reports_is_told_apart() -> None:
    """Embeddings of one kind of text differ little: a low-precision product sees them alike."""
    generator = np.random.default_rng(0)
    base = generator.normal(size=128)
    bank = unit(base + 0.003 * generator.normal(size=(3000, 128)))
    queries = unit(base + generator.normal(size=(64, 128)))
    expected = np.argsort(-(queries.astype(float) @ bank.astype(float).T), axis=1)[:, :5]
    assert top_k(queries, bank, 5)[0].tolist() == expected.tolist()


def proven(queries: np.ndarray, bank: np.ndarray, k: int) -> np.ndarray:
    """For which queries a float32 product is enough."""
    tensors = torch.from_numpy(queries), torch.from_numpy(bank)
    return retrieval._by_product(*tensors, None, k, bank_block=len(bank))[2].numpy()


def test_what_a_float32_product_cannot_tell_is_compared_in_full() -> None:
    """The bound decides: rows closer than the product's error, or copies of one row."""
    queries, bank = random(60, 256, 0), random(2000, 256, 1)
    assert proven(queries, bank, 3).mean() > 0.95
    near = np.vstack([bank, unit(queries[0] + 1e-8 * random(50, 256, 2))])
    assert not proven(queries, near, 3)[0]
    copies = np.repeat(bank[:40], 50, axis=0)
    assert not proven(queries, copies, 3).any()
    for rows in (near, copies):
        assert top_k(queries, rows, 3)[0].tolist() == brute_force(queries, rows, 3)[0].tolist()


def test_a_proof_is_never_wrong() -> None:
    """Rows are drawn ever nearer to each other, so that some queries are proven and others not."""
    generator = np.random.default_rng(0)
    some = 0
    for spread in 10.0 ** np.arange(-7, 0, 0.5):
        base = generator.normal(size=48)
        queries, bank = (
            unit(base + generator.normal(size=(40, 48))),
            unit(base + spread * generator.normal(size=(400, 48))),
        )
        sure = proven(queries, bank, 4)
        tensors = torch.from_numpy(queries), torch.from_numpy(bank)
        found = retrieval._by_product(*tensors, None, 4, bank_block=100)[0].numpy()
        expected = brute_force(queries, bank, 4)[0]
        assert np.array_equal(found[sure], expected[sure])
        some += 0 < sure.sum() < len(queries)
    assert some > 0


@pytest.mark.slow
def test_costs_at_most_three_matrix_products() -> None:
    """CPU seconds, so that other processes count less; the sizes of a large corpus."""
    queries, bank = random(8_192, 512, 0), random(10_000, 512, 1)
    some, rows = torch.from_numpy(queries), torch.from_numpy(bank)
    ratios = []
    for _ in range(3):
        start = time.process_time()
        top_k(queries, bank, 5)
        middle = time.process_time()
        for part in some.split(retrieval.QUERY_BLOCK):
            part @ rows.T
        ratios.append((middle - start) / (time.process_time() - middle))
    assert statistics.median(ratios) <= 3


def wide(generator: np.random.Generator, count: int, width: int) -> np.ndarray:
    """Rows like those of some CLIP models: two dimensions outweigh all others."""
    return generator.normal(size=(count, width)) * np.where(np.arange(width) < 2, 20, 1)


def banks(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Queries and a bank of a kind that is hard for numbers of few bits."""
    generator = np.random.default_rng(0)
    base, queries = generator.normal(size=96), generator.normal(size=(600, 96))
    rows = {
        "random": generator.normal(size=(2500, 96)),
        "clusters": np.repeat(generator.normal(size=(50, 96)), 50, axis=0)
        + 1e-3 * generator.normal(size=(2500, 96)),
        "narrow": base + 1e-4 * generator.normal(size=(2500, 96)),
        "near ties": base + 1e-7 * generator.normal(size=(2500, 96)),
        "outlying dimensions": wide(generator, 2500, 96),
        "opposite": -base + 0.3 * generator.normal(size=(2500, 96)),
        "one odd row": np.vstack([base + 0.01 * generator.normal(size=(2499, 96)), -base]),
    }[kind]
    if kind == "outlying dimensions":
        queries = wide(generator, 600, 96)
    if kind in ("narrow", "near ties", "opposite", "one odd row"):
        queries = base + queries
    return unit(queries), unit(rows)


KINDS = (
    "random",
    "clusters",
    "narrow",
    "near ties",
    "outlying dimensions",
    "opposite",
    "one odd row",
)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_hard_banks_are_ordered_as_in_float64(kind: str, biased: bool) -> None:
    queries, bank = banks(kind)
    bias = np.random.default_rng(3).normal(scale=0.05, size=len(bank)) if biased else None
    scores = queries.astype(float) @ bank.astype(float).T + (0 if bias is None else bias)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    indices, cosines = top_k(queries, bank, 5, bias=bias)
    found = np.take_along_axis(scores, indices, 1)
    best = np.take_along_axis(scores, expected, 1)
    # Sums in another order differ by this much in float64; beyond it no row may differ.
    np.testing.assert_allclose(found, best, rtol=0, atol=1e-15)
    gaps = -np.diff(-np.sort(-scores, axis=1)[:, :6], axis=1)
    clear = (gaps > 1e-14).all(axis=1)
    assert clear.mean() > 0.9
    assert np.array_equal(indices[clear], expected[clear])
    exact = np.take_along_axis(queries.astype(float) @ bank.astype(float).T, indices, 1)
    np.testing.assert_allclose(cosines, exact, rtol=0, atol=1e-7)
    for block, bank_block in ((7, 4000), (1024, 700), (250, 33)):
        other = top_k(queries[:50], bank, 5, bias=bias, block=block, bank_block=bank_block)
        assert np.array_equal(other[0], indices[:50])
        assert np.array_equal(other[1], cosines[:50])


def test_queries_near_and_far_are_as_exact() -> None:
    """Half of the queries are close to rows of the bank, and one is an axis."""
    queries, bank = random(1000, 64, 0), random(2500, 64, 1)
    queries[1::2] = unit(bank[:500] + 0.05 * random(500, 64, 2))
    queries[3] = np.eye(64, dtype=np.float32)[5]
    expected = np.argsort(-(queries.astype(float) @ bank.astype(float).T), axis=1)[:, :3]
    assert np.array_equal(top_k(queries, bank, 3)[0], expected)


@pytest.mark.parametrize("where", ["queries", "bank"])
def test_rows_that_are_not_finite_are_refused(where: str) -> None:
    rows = {"queries": random(20, 16, 0), "bank": random(40, 16, 1)}
    rows[where][3, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        top_k(rows["queries"], rows["bank"], 2)


def test_no_queries_have_no_neighbours() -> None:
    indices, cosines = top_k(random(3, 8, 0)[:0], random(4, 8, 1), 2)
    assert indices.shape == cosines.shape == (0, 2)


def test_result_is_bit_equal_for_any_number_of_threads() -> None:
    queries, bank = random(700, 64, 0), random(900, 64, 1)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found.append(top_k(queries, bank, 4, block=50))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for indices, cosines in found[1:]:
        assert np.array_equal(indices, found[0][0])
        assert np.array_equal(cosines, found[0][1])


def test_a_row_that_is_not_finite_is_refused_in_any_block_of_the_bank() -> None:
    bank = random(40, 16, 1)
    bank[39, 0] = np.inf
    with pytest.raises(InputError, match="not finite"):
        top_k(random(20, 16, 0), bank, 2, bank_block=10)
