"""What all benchmarks share: options, timing in turns, and results as JSON and as a table.

Each file in this folder whose name begins with a letter, `run.py` apart, is a benchmark: a script
with the options of `main`, which `run.py` starts in a process of its own. It has a function

    def measure(options: Options) -> Iterator[Result]

that yields (or returns a list of) results one after the other, and ends with

    if __name__ == "__main__":
        _common.main(__doc__, measure)

The JSON is `{"environment": {...}, "results": [{"benchmark": "training", "quantity": "frozen-text
step / vision-only LoRA step", "value": 1.01, "unit": "ratio", "limit": 1.05, "spread": [1.0, 1.03],
"repeats": 15, "details": {...}}, ...]}`, see `Result`.
"""

import argparse
import dataclasses
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from clipit_eva import provenance


@dataclasses.dataclass(frozen=True)
class Options:
    """What every benchmark is told."""

    quick: bool = False
    """Smaller sizes or fewer repeats: about a minute for each benchmark on two cores."""

    device: str = "cpu"
    """`cpu` or `cuda`. On CUDA and unless quick, real sizes are measured too."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One figure."""

    quantity: str
    """What was measured: `a / b` if it is a ratio."""

    value: float
    """The median over repeats."""

    unit: str = "ratio"
    """`ratio`, `s`, `us/image`, `MiB`, ...; less is better with each of them."""

    limit: float | None = None
    """The most that the value may be; `None` without a promise."""

    spread: tuple[float, float] | None = None
    """The least and the most over repeats."""

    repeats: int = 1
    """Number of repeats."""

    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Sizes, and what the value was made of; JSON values."""


def time_in_turns(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    device: str = "cpu",
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times calls in turns, so that whatever else the machine does slows all of them.

    Args:
        calls: The calls by name.
        repeats: Rounds; the order is reversed in every second one.
        device: With `cuda`, waits for the GPU before the clock starts and stops.
        warm_up: Rounds before, which are not timed.
        clock: Returns seconds; with `time.process_time` those of the processor.

    Returns:
        Seconds by name, one for each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + repeats):
        order = list(calls) if turn % 2 else list(reversed(calls))
        for name in order:
            _wait(device)
            start = clock()
            calls[name]()
            _wait(device)
            if turn >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def ratio(
    quantity: str,
    seconds: Mapping[str, list[float]],
    over: str,
    under: str,
    limit: float | None = None,
    **details: Any,
) -> Result:
    """Compares two calls that were timed in turns: the median of each round's ratio.

    Args:
        quantity: What the ratio is.
        seconds: What `time_in_turns` returned.
        over: The name of the call whose time is divided.
        under: The name of the call it is divided by.
        limit: The most that the ratio may be.
        details: Sizes.
    """
    ratios = [a / b for a, b in zip(seconds[over], seconds[under], strict=True)]
    medians = {f"{name} [s]": _short(statistics.median(seconds[name])) for name in (over, under)}
    return median(quantity, ratios, "ratio", limit, **details, **medians)


def median(
    quantity: str, values: list[float], unit: str, limit: float | None = None, **details: Any
) -> Result:
    """Returns the result of repeated measurements of one quantity."""
    return Result(
        quantity,
        _short(statistics.median(values)),
        unit,
        limit,
        (_short(min(values)), _short(max(values))),
        len(values),
        details,
    )


def peak_bytes(call: Callable[[], object], device: str = "cpu") -> int:
    """Returns the most memory that torch held at once during a call beyond what it held before.

    On the CPU these are the allocations that torch's profiler sees.
    """
    if device == "cuda":
        _wait(device)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        _wait(device)
        return torch.cuda.max_memory_allocated() - before
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        call()
    results: Any = profile.profiler
    events = [e for e in results.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def main(description: str | None, measure: Callable[[Options], Iterable[Result]]) -> None:
    """Runs one benchmark as a script: prints a table, and writes JSON with `--output`.

    Args:
        description: The script's docstring.
        measure: The benchmark.
    """
    parser = make_parser(description)
    given = parser.parse_args()
    name = Path(sys.argv[0]).stem
    results = []
    for result in measure(Options(given.quick, given.device)):
        results.append({"benchmark": name, **dataclasses.asdict(result)})
        line = f"{name}: {result.quantity}: {result.value:g} {result.unit}"  # for those who wait
        print(line, file=sys.stderr, flush=True)
    finish({"environment": environment(given.device), "results": results}, given.output)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Returns the options that every script here has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes or fewer repeats")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser


def finish(report: Mapping[str, Any], output: Path | None) -> None:
    """Prints the table, and writes the JSON if there is a file to write."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report))


def table(report: Mapping[str, Any]) -> str:
    """Returns the results as a Markdown table, with hardware and command below."""
    lines = [
        "| benchmark | quantity | value | at most | min to max | repeats |",
        "|" + " --- |" * 6,
    ]
    for result in report["results"]:
        unit = "" if result["unit"] == "ratio" else f" {result['unit']}"
        limit = "" if result["limit"] is None else f"{result['limit']:g}"
        spread = "" if result["spread"] is None else "{:g} to {:g}".format(*result["spread"])
        value = f"{result['value']:g}{unit}"
        if result["limit"] is not None and result["value"] > result["limit"]:
            value += " (missed)"
        row = (result["benchmark"], result["quantity"], value, limit, spread, result["repeats"])
        lines.append("| " + " | ".join(map(str, row)) + " |")
    facts = report["environment"]
    lines.append("")
    lines.append(", ".join(f"{name} {value}" for name, value in facts.items() if name != "command"))
    lines.append(f"Command: `{facts['command']}`")
    return "\n".join(lines)


def environment(device: str) -> dict[str, Any]:
    """Returns the hardware, versions and command."""
    machine = provenance.hardware()
    return {
        "hardware": torch.cuda.get_device_name() if device == "cuda" else machine["processor"],
        "cores": machine["cores"],
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }


def _wait(device: str) -> None:
    """Waits until the GPU has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def _short(value: float) -> float:
    """Rounds to four digits."""
    return float(f"{value:.4g}")
