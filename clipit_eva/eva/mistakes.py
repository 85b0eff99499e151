"""A user's mistake in an error that eva or one of its libraries raised: told in one line."""

import contextlib
import difflib
import errno
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from clipit_eva import files
from clipit_eva.errors import InputError
from clipit_eva.eva import backbones, compat

_DATASET_STEPS = {"prepare_data", "setup", "configure", "validate"}
"""Methods of eva's datasets that read what is on disk."""

_SIZES = re.compile(r"patch|input.*(height|width|size)|image size|size of tensor", re.IGNORECASE)
"""How encoders complain of images whose size they do not take."""

_CHOICES = re.compile(r"choose one of the following: \[(.*)\]")
"""How a registry of eva's tells its names."""

_MISREAD = re.compile(r'Parser key "([^"]+)":\s+(?!Problem with|Does not validate)(\S[^\n]*)')
"""A place in a config and what eva's parser has against its value."""

_UNKNOWN = re.compile(
    r"(unrecognized arguments|\S.* does not accept option|Option '.*' is not)[^\n]*"
)
"""How eva's parser complains of an argument that nothing takes."""

_KEYS = re.compile(
    r"(Missing|Unexpected) key\(s\) in state_dict: ([^\n]*)|size mismatch for ([^:]*)"
)
"""How torch complains of weights that do not fit a module."""

_GATED = re.compile(r"token|gated|401|403|restricted|authori[sz]ed", re.IGNORECASE)
"""How hubs complain of weights that want a licence to be accepted."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of a disk that no mistake in a path explains."""


def explain(error: BaseException, traceback: TracebackType | None) -> str | None:
    """Returns what a user has to mend, or None if the error may be one of the program.

    Args:
        error: An error that ended an `eva` process.
        traceback: Where it was raised.
    """
    if type(error).__name__ == "OutOfMemoryError":
        return f"the GPU's memory does not suffice ({_first_line(error)}); lower BATCH_SIZE"
    if type(error).__name__ == "MisconfigurationException":
        return f"Lightning refuses the configuration: {_first_line(error)}; mend it"
    if "Early stopping conditioned on metric" in str(error):
        return f"MONITOR_METRIC is none that is measured ({_first_line(error)}); give one that is"
    if isinstance(error, OSError) and (error.errno in _DISK or _is_of_output(error)):
        name = error.filename or _open_file(traceback)
        return f"{name} cannot be written: {files.why_not_written(error)}"
    for frame in reversed(_frames(traceback)):
        owner = frame.f_locals.get("self")
        if owner is None or not isinstance(error, Exception):
            continue
        if frame.f_code.co_name in _DATASET_STEPS and compat.is_eva_dataset(owner):
            return _of_dataset(owner, error)
        if frame.f_code.co_name == "forward" and compat.is_eva_backbone(type(owner)):
            return _of_backbone(frame.f_locals.get("tensor"), error)
    return None


def explain_parsing(message: str) -> str:
    """Returns in one line what eva's parser says of a value in many.

    Args:
        message: Nested places in the config, the innermost last, with alternatives of union types.
    """
    unknown, found = _UNKNOWN.search(message), _MISREAD.findall(message)
    if found and not unknown:
        place, trouble = found[-1]
        return f"{place}: {trouble.rstrip('.')}; mend it in the config, its variable or the option"
    text = unknown[0] if unknown else " ".join(message.split())[:500]
    return f"{text}; mend the config or the command line"


@contextlib.contextmanager
def construction(class_type: type, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Tells of what a user has to mend where an object is made: one of eva's backbones.

    Raises:
        InputError: Such a mistake; other errors are left as they are.
    """
    check_construction(class_type, arguments)
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if told := explain_construction(class_type, arguments, error):
            raise InputError(told) from error
        raise


def check_construction(class_type: type, arguments: Mapping[str, Any]) -> None:
    """Checks what one of eva's backbones is about to be made with.

    Raises:
        InputError: An argument would reach nothing.
    """
    if class_type.__name__ != "ModelFromRegistry" or not compat.is_eva_backbone(class_type):
        return
    name, own = arguments.get("model_name", ""), arguments.get("model_extra_kwargs") or {}
    backbones.make_known(name, own)
    if untaken := compat.untaken_arguments(name, own):
        raise InputError(
            f"MODEL_EXTRA_KWARGS: MODEL_NAME={name} does not take {', '.join(untaken)}; leave it "
            "out, or give model.init_args.backbone a class that takes it"
        )


def explain_construction(
    class_type: type, arguments: Mapping[str, Any], error: Exception
) -> str | None:
    """Returns what a user has to mend if one of eva's backbones cannot be made.

    None if the class is another: whoever wrote it wants to see where it failed.

    Args:
        class_type: The class.
        arguments: What it was to be made with.
        error: What its construction raised.
    """
    if not compat.is_eva_backbone(class_type):
        return None
    name = arguments.get("model_name") or class_type.__name__
    if keys := _KEYS.findall(str(error)):
        file = (arguments.get("model_extra_kwargs") or {}).get("checkpoint_path", "its file")
        return (
            f"MODEL_EXTRA_KWARGS: {file} does not fit MODEL_NAME={name}: it {_in_words(keys)}; "
            "give weights of this model without the keys of a classifier"
        )
    if _GATED.search(str(error)):
        advice = "accept its licence on its hub's page and set HF_TOKEN"
    else:
        advice = "see whether MODEL_NAME and MODEL_EXTRA_KWARGS are right and its weights in reach"
    return f"MODEL_NAME={name} cannot be made ({_without_list(str(name), error)}); {advice}"


def _in_words(keys: Sequence[tuple[str, str, str]]) -> str:
    """Returns what is wrong with the keys of a file of weights, the first three of each kind."""
    told = []
    for kind, names, resized in keys:
        found = re.findall(r'"([^"]+)"', names) or [resized]
        what = {"Missing": "lacks", "Unexpected": "holds"}.get(kind, "has another shape of")
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        told.append(f"{what} {', '.join(found[:3])}{more}")
    return ", ".join(told[:3])


def _without_list(name: str, error: Exception) -> str:
    """Returns an error's first line, with the names close to a wrong one for a registry's list."""
    line = _first_line(error)
    listed = _CHOICES.search(line)
    if listed is None:
        return line
    close = difflib.get_close_matches(name, re.findall(r"'([^']+)'", listed[1]), cutoff=0.5)
    return "eva has no such backbone" + (f"; close are {', '.join(close)}" if close else "")


def _of_dataset(dataset: Any, error: Exception) -> str | None:
    """Returns what does not fit in a dataset's folder."""
    if not isinstance(error, OSError | ValueError | LookupError | RuntimeError):
        return None
    root = compat.dataset_root(dataset)
    return (
        f"DATA_ROOT={root} is not as eva's {type(dataset).__name__} needs it "
        f"({_first_line(error)}); complete or unpack the download there"
    )


def _of_backbone(images: Any, error: Exception) -> str | None:
    """Returns why a backbone does not take the images."""
    if not isinstance(error, AssertionError | ValueError | RuntimeError):
        return None
    if not _SIZES.search(str(error)):
        return None
    size = " x ".join(map(str, getattr(images, "shape", ("?", "?"))[-2:]))
    return (
        f"RESIZE_DIM: the backbone takes no images of {size} pixels ({_first_line(error)}); set "
        "RESIZE_DIM to a size that it takes"
    )


def _is_of_output(error: OSError) -> bool:
    """Whether a path below OUTPUT_ROOT cannot be written to, for a reason that a user can mend."""
    root, name = os.environ.get("OUTPUT_ROOT"), str(error.filename)
    within = root is not None and Path(os.path.abspath(name)).is_relative_to(os.path.abspath(root))
    return within and files.why_not_written(error) is not None


def _open_file(traceback: TracebackType | None) -> str:
    """Returns the file that was being written where an error was raised, which may not name it."""
    for frame in reversed(_frames(traceback)):
        for value in frame.f_locals.values():
            if isinstance(value, io.IOBase) and isinstance(getattr(value, "name", None), str):
                return value.name  # type: ignore[attr-defined]
    return f"a file of OUTPUT_ROOT={os.environ.get('OUTPUT_ROOT', 'logs')}"


def _frames(traceback: TracebackType | None) -> list[FrameType]:
    """Returns the frames of a traceback, the outermost first."""
    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its kind."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
