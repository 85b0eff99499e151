"""Speed and memory of retrieval against a loop over images, checked against float64.

Run: python benchmarks/retrieval.py
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from clipit_eva.pairing.retrieval import top_k


def main() -> None:
    """Runs the comparison and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=327_680, help="PatchCamelyon's")
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--looped", type=int, default=64, help="images of each loop")
    parser.add_argument("--loops", type=int, default=3, help="loops before, and as many after")
    parser.add_argument("--checked", type=int, default=512, help="images compared with float64")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    bank = unit(options.reports, options.width, seed=1)
    queries = unit(options.images, options.width, seed=0)
    warm_up(queries, bank, options)
    # Timed before and after the retrieval: other processes on the machine slow both.
    loops = [time_loop(queries, bank, options) for _ in range(options.loops)]
    before, start = reset_peak(), time.perf_counter()
    indices, _ = top_k(queries, bank, options.k, device=options.device)
    retrieval = (time.perf_counter() - start) / options.images
    peak = memory_bytes("VmHWM")
    loops += [time_loop(queries, bank, options) for _ in range(options.loops)]
    loop = statistics.median(loops)
    result = {
        "shape": [options.images, options.reports, options.width],
        "k": options.k,
        "threads": torch.get_num_threads(),
        "device": options.device,
        "loop_us_per_image": round(1e6 * loop, 1),
        "retrieval_us_per_image": round(1e6 * retrieval, 1),
        "ratio": round(loop / retrieval, 1),
        "peak_extra_gib": round((peak - before) / 2**30, 3),
        **check(queries, bank, indices, options),
    }
    print(json.dumps(result))


def unit(count: int, width: int, seed: int) -> np.ndarray:
    """Returns random unit rows [count, width], float32."""
    rows = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def warm_up(queries: np.ndarray, bank: np.ndarray, options: argparse.Namespace) -> None:
    """Lets libraries start their threads and choose their kernels."""
    top_k(queries[:4096], bank, options.k, device=options.device)


def time_loop(queries: np.ndarray, bank: np.ndarray, options: argparse.Namespace) -> float:
    """Returns the seconds per image of the loop over images."""
    rows = torch.from_numpy(bank).to(options.device)
    images = torch.from_numpy(queries[: options.looped]).to(options.device)
    start = time.perf_counter()
    for image in images:
        similarities = (image * rows).sum(1)
        similarities.max().item()
        similarities.argmax().item()
    return (time.perf_counter() - start) / options.looped


def check(
    queries: np.ndarray, bank: np.ndarray, indices: np.ndarray, options: argparse.Namespace
) -> dict[str, int]:
    """Compares a sample with float64 matrix products; counts rows that differ."""
    sample = np.random.default_rng(2).choice(len(queries), options.checked, replace=False)
    exact = queries[sample].astype(np.float64) @ bank.astype(np.float64).T
    expected = np.argsort(-exact, axis=1, kind="stable")[:, : options.k]
    return {
        "checked": options.checked,
        "different": int((indices[sample] != expected).any(axis=1).sum()),
    }


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
    main()
