"""What differs between the runs of one arm besides the seed: read off their configurations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .study import Comparison

WITHOUT_EFFECT = (
    "default_root_dir", "save_dir", "dirpath", "output_file", "num_workers", "refresh_rate",
    "persistent_workers", "prefetch_factor", "cache_dir", "verbose",
)  # fmt: skip
"""Settings that name places or speed and change no result."""

OF_THE_SEED = ("vision_head_checkpoint", "vision_head")
"""Settings that follow the seed by design: the vision head starts from the seed's unimodal run."""


def varied(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Returns the settings in which runs of one arm and comparison differ, dotted, sorted.

    Args:
        comparisons: The comparisons.
    """
    found: set[str] = set()
    for comparison in comparisons:
        for runs in comparison.runs.values():
            if len({run.config_digest for run in runs}) == 1:
                continue
            flat = [dict(_leaves(run.provenance.get("config"), "")) for run in runs]
            for key in {key for one in flat for key in one}:
                if len({repr(one.get(key)) for one in flat}) > 1 and _matters(key):
                    found.add(key.replace(".init_args", ""))
    return tuple(sorted(found))


def _matters(key: str) -> bool:
    return key.rpartition(".")[2] not in (*WITHOUT_EFFECT, *OF_THE_SEED)


def _leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Yields the dotted name and value of each leaf of nested configuration."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{at}.{place}")
    else:
        yield at, value
