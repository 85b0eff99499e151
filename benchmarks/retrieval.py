"""Time and memory of retrieval against one matrix product of its size, checked against float64.

Run: python benchmarks/retrieval.py

The product is computed in the blocks that the retrieval uses, and thrown away. Each repeat is a
process of its own, with the product before and after the retrieval.
"""

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _common
import numpy as np
import torch

from clipit_eva.pairing.retrieval import QUERY_BLOCK, top_k

IMAGES = 327_680
"""PatchCamelyon's."""

REPORTS, WIDTH, K = 10_000, 512, 5

CHECKED = 512
"""Images compared with float64."""


def measure(options: _common.Options) -> Iterator[_common.Result]:
    """Compares both for ever more images; the last are the sizes of the promises."""
    counts = [IMAGES // 10] if options.quick else [IMAGES // 100, IMAGES // 10, IMAGES]
    for images in counts:
        repeats = 3 if images < IMAGES else 5
        runs = [in_a_process(images, options.device) for _ in range(repeats)]
        seconds = {name: [run[name] for run in runs] for name in ("retrieval", "product")}
        at = f"{images:,} x {REPORTS:,} x {WIDTH}"
        quantity = f"retrieval / one matrix product, {at}"
        yield _common.ratio(quantity, seconds, "retrieval", "product", limit=3.0, k=K)
        memory = [run["memory"] / 2**30 for run in runs]
        yield _common.median(f"memory above the inputs, {at}", memory, "GiB", 2.0)
        wrong = [float(run["different"]) for run in runs]
        quantity = f"images of {CHECKED} whose reports are not those of float64, {at}"
        yield _common.median(quantity, wrong, "images", 0.0)


def in_a_process(images: int, device: str) -> dict[str, Any]:
    """Returns what `compare` does in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(compare, (images, device))


def compare(images: int, device: str) -> dict[str, Any]:
    """Returns seconds of both, bytes above the inputs, and the count of wrong rows."""
    bank, queries = unit(REPORTS, seed=1), unit(images, seed=0)
    top_k(queries[:4096], bank, K, device=device)  # lets threads start
    product = time_product(queries, bank, device)
    before, start = reset_peak(), time.perf_counter()
    found, _ = top_k(queries, bank, K, device=device)
    retrieval = time.perf_counter() - start
    memory = memory_bytes("VmHWM") - before
    return {
        "product": (product + time_product(queries, bank, device)) / 2,
        "retrieval": retrieval,
        "memory": memory,
        "different": different(queries, bank, found),
    }


def unit(count: int, seed: int) -> np.ndarray:
    """Returns random unit rows [count, WIDTH], float32."""
    rows = np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def time_product(queries: np.ndarray, bank: np.ndarray, device: str) -> float:
    """Returns the seconds of the products of all queries with the bank."""
    rows = torch.from_numpy(bank).to(device)
    start = time.perf_counter()
    for part in torch.from_numpy(queries).split(QUERY_BLOCK):
        last = part.to(device) @ rows.T
    last[0, 0].item()  # waits for a GPU
    return time.perf_counter() - start


def different(queries: np.ndarray, bank: np.ndarray, found: np.ndarray) -> int:
    """Returns how many of a sample's rows [n, K] differ from those of float64 products."""
    sample = np.random.default_rng(2).choice(len(queries), CHECKED, replace=False)
    exact = queries[sample].astype(np.float64) @ bank.astype(np.float64).T
    expected = np.argsort(-exact, axis=1, kind="stable")[:, :K]
    return int((found[sample] != expected).any(axis=1).sum())


def reset_peak() -> int:
    """Forgets the most memory that the process has used (Linux), and returns what it uses now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_bytes("VmRSS")


def memory_bytes(name: str) -> int:
    """Returns an entry of the process's status: `VmRSS` is its memory, `VmHWM` the most since."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(value)


if __name__ == "__main__":
    _common.main(__doc__, measure)
