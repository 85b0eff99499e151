"""Whether the variables that an `eva` process's configs read have values that can be meant.

eva's parser would tell of a wrong one by its place in the config, over many lines, and Lightning
and torch by a traceback, some after hours. Others (`N_RUNS=0`) would end as if all was well.
"""

import functools
import importlib
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import yaml

from clipit_eva.errors import InputError

Wanted = str | None
"""What a value must be, in words; None if it is that."""


def check_settings(names: Collection[str], environment: Mapping[str, str]) -> None:
    """Checks variables, alone and together.

    Args:
        names: The variables that a command's configs read.
        environment: The process's variables.

    Raises:
        InputError: A variable is empty, or its value is out of range.
    """
    given = {name: environment[name] for name in sorted(names) if name in environment}
    for name, value in given.items():
        check_value(name, value)
    if "PREFETCH_FACTOR" in names and given.get("N_DATA_WORKERS", "").strip() == "0":
        kept = _is_off(given.get("PERSISTENT_WORKERS", "true"))
        if not kept or given.get("PREFETCH_FACTOR", "2") != "null":
            raise InputError(
                "N_DATA_WORKERS=0 needs PERSISTENT_WORKERS=false and PREFETCH_FACTOR=null; set them"
            )
    over_epochs = given.get("CHECK_VAL_EVERY_N_EPOCH", "1").strip() == "null"
    if over_epochs and not given.get("VAL_CHECK_INTERVAL", "1.0").strip().isdigit():
        raise InputError(
            "CHECK_VAL_EVERY_N_EPOCH=null counts steps over epochs; set VAL_CHECK_INTERVAL to a "
            "number of them"
        )


@functools.cache  # a plan's jobs share most values
def check_value(name: str, value: str) -> None:
    """Checks the value of a variable; of a name that is not known, only that there is one.

    Raises:
        InputError: It is empty or out of range.
    """
    if not value.strip():
        raise InputError(f"{name} is set to nothing; unset it or give it a value")
    wanted = _RULES[name](value) if name in _RULES else None
    if wanted is not None:
        raise InputError(f"{name}={value} must be {wanted}")


def _yaml(value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _whole(least: int, most: int | None = None, *others: str) -> Callable[[str], Wanted]:
    """Returns the rule of a whole number, or one of some words."""

    def judge(value: str) -> Wanted:
        word = value.strip()
        number = int(word) if re.fullmatch(r"[+-]?\d{1,30}", word) else None
        if word in others or (number is not None and least <= number <= (most or number)):
            return None
        range_ = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        return " or ".join([f"a whole number {range_}", *others])

    return judge


def _number(words: str, holds: Callable[[float], bool]) -> Callable[[str], Wanted]:
    """Returns the rule of a finite number."""

    def judge(value: str) -> Wanted:
        number = _finite(value)
        return None if number is not None and holds(number) else f"a number {words}"

    return judge


def _finite(value: Any) -> float | None:
    """Returns a number; None if it is none, or not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _one_of(*words: str) -> Callable[[str], Wanted]:
    return lambda value: None if value.strip() in words else f"one of {', '.join(words)}"


def _switch(value: str) -> Wanted:
    return None if isinstance(_yaml(value), bool) else "true or false"


def _is_off(value: str) -> bool:
    return _yaml(value) is False


def _colours(least: float) -> Callable[[str], Wanted]:
    """Returns the rule of a number for each of three channels, or `[]`: the backbone's own."""

    def judge(value: str) -> Wanted:
        numbers = _yaml(value)
        if numbers == []:
            return None
        is_list = isinstance(numbers, list) and len(numbers) == 3
        found = [_finite(number) for number in numbers] if is_list else [None]
        if all(number is not None and number > least for number in found):
            return None
        above = "" if least == -math.inf else f" above {least:g}"
        return f"three numbers{above}, such as [0.5, 0.5, 0.5]"

    return judge


def _size(value: str) -> Wanted:
    size = _yaml(value)
    sides = size if isinstance(size, list) else [size]
    whole = all(type(side) is int and side > 0 for side in sides)
    return None if whole and 1 <= len(sides) <= 2 else "a number of pixels, at least 1"


def _interval(value: str) -> Wanted:
    whole, share = re.fullmatch(r"\d+", value.strip()), _finite(value)
    if share is not None and share > 0 and (whole or share <= 1):
        return None
    return "a number of steps of at least 1, or a share of an epoch above 0, at most 1.0"


def _devices(value: str) -> Wanted:
    word = value.strip()
    if word == "auto" or re.fullmatch(r"-1|0*[1-9]\d*|\[?\d+(,\s*\d+)+\]?|\[\d+\]", word):
        return None
    return "a number of devices of at least 1, a list of devices, or auto"


def _words(value: str) -> Wanted:
    words = _yaml(value)
    fits = isinstance(words, list) and words and all(isinstance(word, str) for word in words)
    return None if fits else "a list of names, such as [Linear, Conv2d]"


def _imported(value: str) -> Wanted:
    module, _, name = value.strip().rpartition(".")
    try:
        getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError):
        return "the import path of a class or function, such as torch.optim.lr_scheduler.ConstantLR"
    return None


def _mapping(value: str) -> Wanted:
    found = _yaml(value)
    return None if found is None or isinstance(found, dict) else "a mapping, such as {key: value}"


_PRECISIONS = (
    *("32-true", "32", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true", "64"),
    *("16", "bf16", "transformer-engine", "transformer-engine-float16"),
)

_RULES: Mapping[str, Callable[[str], Wanted]] = {
    "ACCELERATOR": _one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu", "hpu"),
    "AUGMENTATION": _one_of("flips_and_jitter", "null"),
    "BATCH_SIZE": _whole(1),
    "CHECKPOINT_TYPE": _one_of("best", "last"),
    "CHECK_VAL_EVERY_N_EPOCH": _whole(1, None, "null"),
    "DISTILL_WEIGHT": _number("of at least 0", lambda number: number >= 0),
    "DOWNLOAD_DATA": _switch,
    "GRADIENT_CHECKPOINTING": _switch,
    "IN_FEATURES": _whole(0),
    "LABELS_PER_CLASS": _whole(1, None, "null"),
    "LABELS_SEED": _whole(0),
    "LORA_ALPHA": _number("above 0", lambda number: number > 0),
    "LORA_DROPOUT": _number("from 0, below 1", lambda number: 0 <= number < 1),
    "LORA_RANK": _whole(1, 65_536),
    "LORA_TARGETS": _words,
    "LORA_TEXT": _switch,
    "LORA_VISION": _switch,
    "LR_SCHEDULER": _imported,
    "LR_VALUE": _number("of at least 0", lambda number: number >= 0),
    "MAX_STEPS": _whole(1, None, "-1"),
    "MODEL_EXTRA_KWARGS": _mapping,
    "MONITOR_METRIC_MODE": _one_of("max", "min"),
    "NORMALIZE_MEAN": _colours(-math.inf),
    "NORMALIZE_STD": _colours(0),
    "NUM_DEVICES": _devices,
    "N_DATA_WORKERS": _whole(0),
    "N_RUNS": _whole(1),
    "PAIRING_POLICY": _one_of(
        "nearest", "csls", "inverted_softmax", "shuffled", "random", "constant"
    ),
    "PAIRING_SEED": _whole(0),
    "PATIENCE": _whole(0),
    "PERSISTENT_WORKERS": _switch,
    "PRECISION": _one_of(*_PRECISIONS),
    "PREFETCH_FACTOR": _whole(1, None, "null"),
    "REPORT_CLEANING": _switch,
    "REPORT_DUPLICATES": _one_of("keep", "drop_exact", "drop_near"),
    "REPORT_FILTER": _mapping,
    "REPORT_POLICY": _one_of("truncate", "chunk", "mean"),
    "REPORT_REPEATED_IDS": _one_of("refuse", "first", "longest"),
    "RESIZE_DIM": _size,
    "SAVE_LAST": _switch,
    "TEXT_FEATURES": _whole(1),
    "TEXT_GRADIENT": _switch,
    "TOP_K": _whole(1),
    "TQDM_REFRESH_RATE": _whole(0),
    "UNLABELLED": _one_of("distill", "drop", "null"),
    "VAL_CHECK_INTERVAL": _interval,
    "VISION_HEAD_LORA": _switch,
    "WEIGHT_DECAY": _number("of at least 0", lambda number: number >= 0),
    "WORD_DROPOUT": _number("from 0, below 1", lambda number: 0 <= number < 1),
}
