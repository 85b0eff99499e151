"""The promised costs of a training step, with fewer blocks and layers than in the benchmark.

Encoders have the benchmark's sizes but for their depth, by which both sides' costs are divided.
Times are the processor's, with one thread, in turns: others on the machine slow both sides alike.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "benchmarks"
DEPTH = 2
ROUNDS = 9

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    """The scripts' modules, which find each other in their folder."""
    sys.path.insert(0, str(FOLDER))
    import training

    yield training
    sys.path.remove(str(FOLDER))


def medians(common: ModuleType, steps: dict[str, Any], rounds: int) -> dict[str, float]:
    seconds = common.time_in_turns(steps, rounds, clock=time.process_time)
    return {name: statistics.median(values) for name, values in seconds.items()}


@pytest.mark.long
def test_frozen_text_costs_almost_nothing(benchmark: Any) -> None:
    setting = benchmark.Setting(batch=4, depth=DEPTH)
    steps = {"clip_it": benchmark.clip_it(setting), "vision": benchmark.vision_only(setting)}
    found = medians(benchmark._common, steps, 5 * ROUNDS)
    assert found["clip_it"] / found["vision"] <= benchmark.FROZEN_LIMIT


def test_frozen_text_takes_almost_no_memory(benchmark: Any) -> None:
    setting = benchmark.Setting(depth=DEPTH, reports=1000)
    peaks = [
        benchmark.peak(make(setting), "cpu") for make in (benchmark.clip_it, benchmark.vision_only)
    ]
    assert peaks[1] > 100 * 2**20  # the measurement sees the activations
    assert peaks[0] / peaks[1] <= benchmark.MEMORY_LIMIT


@pytest.mark.long
def test_text_lora_costs_what_its_distinct_reports_cost(benchmark: Any) -> None:
    """64 images on 12 reports are 16 on 3."""
    setting = benchmark.Setting(batch=16, distinct=3, depth=DEPTH)
    steps = {
        "text": benchmark.clip_it(setting, text_lora=True),
        "vision": benchmark.vision_only(setting),
        "every row": benchmark.clip_it(setting, text_lora=True, every_row=True),
    }
    found = medians(benchmark._common, steps, ROUNDS)
    assert found["text"] / found["vision"] <= benchmark.TEXT_LORA_LIMIT
    assert found["text"] / found["every row"] < benchmark.DISTINCT_LIMIT


def test_every_row_is_the_same_step(benchmark: Any) -> None:
    """What is compared above computes the same loss."""
    setting = benchmark.Setting(batch=4, distinct=2, depth=1)
    steps = [benchmark.clip_it(setting, True, every_row) for every_row in (False, True)]
    losses = [step.args[0].training_step(step.args[3])["loss"] for step in steps]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-5)
