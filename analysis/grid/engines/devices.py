"""What a machine has to share between jobs: GPUs and processor cores."""

import itertools
import os
import re
import subprocess
from collections.abc import Sequence


def visible_gpus() -> list[str]:
    """Returns the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Those of CUDA_VISIBLE_DEVICES if it is set, else those that `nvidia-smi` lists. Does not import
    torch, which would take seconds and open every GPU.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        # CUDA ignores what follows the first one that it does not know.
        names = (name.strip() for name in given.split(","))
        return list(itertools.takewhile(lambda name: name not in ("", "-1"), names))
    try:
        answer = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return listed_gpus(answer.stdout)


def listed_gpus(listing: str) -> list[str]:
    """Returns the GPUs of a list by `nvidia-smi -L`: the instances of one that is split (MIG).

    A line `GPU 0: NVIDIA H100 (UUID: GPU-...)` is followed by those of its instances, such as
    `  MIG 1g.10gb Device 0: (UUID: MIG-...)`.
    """
    found: list[tuple[str, list[str]]] = []
    for line in listing.splitlines():
        if gpu := re.match(r"GPU (\d+):", line):
            found.append((gpu[1], []))
        elif found and (instance := re.search(r"\(UUID:\s*(MIG-[^)\s]+)", line)):
            found[-1][1].append(instance[1])
    return [name for index, instances in found for name in instances or [index]]


def share(slot: int, slots: int, gpus: Sequence[str]) -> dict[str, str]:
    """Returns the environment variables that give a slot, from 0, its part of the machine.

    The slots take turns where there are fewer GPUs.
    """
    allowed = hasattr(os, "sched_getaffinity")  # macOS lacks it
    cores = len(os.sched_getaffinity(0)) if allowed else os.cpu_count() or 1
    threads = {"OMP_NUM_THREADS": str(max(1, cores // slots))}
    return {**threads, "CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else threads
