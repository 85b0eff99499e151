"""Checkpoints that hold what was trained, and nothing else."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipit_eva.errors import InputError

SETTINGS_KEY = "clipit_eva"
"""Key of a checkpoint that holds the module's settings."""

TEXT_PREFIX = "reports."
"""Where the module keeps its text side, which only training has."""


def keep_trained(
    checkpoint: dict[str, Any], trained: set[str], settings: Mapping[str, Any]
) -> None:
    """Strips a Lightning checkpoint to the trained tensors, by name, in place.

    Adds the settings, plain values that say how to build the layers again.
    """
    state = checkpoint["state_dict"]
    checkpoint["state_dict"] = {name: state[name] for name in state if name in trained}
    checkpoint[SETTINGS_KEY] = dict(settings)


def fill_frozen(
    checkpoint: dict[str, Any], model: nn.Module, trained: set[str], settings: Mapping[str, Any]
) -> None:
    """Completes a stripped checkpoint with the model's frozen tensors, in place.

    Args:
        checkpoint: A checkpoint by `keep_trained`, about to be loaded into the model.
        model: The model, with its layers built.
        trained: Names of the tensors that the checkpoint has to bring. Those of the text side may
            be left in it by a model that has none.
        settings: The model's own settings.

    Raises:
        InputError: The checkpoint is of another backbone, or lacks a trained tensor, or holds one
            that this model does not train or that has another shape.
    """
    saved = checkpoint.get(SETTINGS_KEY)
    if saved is None:
        raise InputError("the checkpoint was not written by clipit_eva.CLIPITModule")
    if saved["backbone_digest"] != settings["backbone_digest"]:
        raise InputError(
            "the checkpoint was trained on another backbone's weights; set MODEL_NAME (and "
            "MODEL_EXTRA_KWARGS) to those of its run"
        )
    has_text = any(name.startswith(TEXT_PREFIX) for name in trained)
    state = {
        name: tensor
        for name, tensor in checkpoint["state_dict"].items()
        if has_text or not name.startswith(TEXT_PREFIX)
    }
    if missing := sorted(trained - set(state)):
        raise InputError(f"the checkpoint lacks the trained tensor {missing[0]}; train it again")
    if surplus := sorted(set(state) - trained):
        raise InputError(
            f"the checkpoint holds {surplus[0]}, which this model does not train; set the model up "
            "as its run did"
        )
    own = model.state_dict()
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f"the checkpoint has {name} of shape {tuple(tensor.shape)}, the model of "
                f"{tuple(own[name].shape)}; set the model up as its run did"
            )
    checkpoint["state_dict"] = {**own, **state}


def find_checkpoint(path: str, field: str, run: str | None = None) -> Path:
    """Returns the checkpoint that a path means: itself, or the only `best.ckpt` below a folder.

    Of several, those of sessions that were interrupted do not count if others were finished.

    Args:
        path: A checkpoint file, or the folder of a run or of a session of runs.
        field: The setting that the path came from, for messages.
        run: Name of the run's folder (`run_0`) to choose in a session. A checkpoint file, or the
            folder of one run, is meant for every run.

    Raises:
        InputError: There is no such file, or more than one, or none of that run.
    """
    if Path(path).is_file():
        return Path(path)
    if not Path(path).is_dir():
        raise InputError(f"{field}={path} does not exist; give a checkpoint or a run's folder")
    found = sorted(Path(path).rglob("best.ckpt"))
    if not found:
        raise InputError(f"{field}={path} holds no best.ckpt; give the folder of a finished run")
    runs = {file: _run_folder(file.relative_to(path)) for file in found}
    if run is not None and any(runs.values()):
        found = [file for file in found if runs[file] == run]
        if not found:
            has = ", ".join(sorted({name for name in runs.values() if name}))
            raise InputError(
                f"{field}={path} has {has} and no {run}; train as many runs there, or give "
                "the folder of one run to start all of them from it"
            )
    if len(found) > 1:
        found = [file for file in found if _is_finished(file)] or found
    if len(found) > 1:
        raise InputError(
            f"{field}={path} holds {len(found)} runs; give one of them, such as {found[0]}"
        )
    return found[0]


def _is_finished(path: Path) -> bool:
    """Whether a checkpoint's session ended: a killed one leaves none of eva's results."""
    return (path.absolute().parents[2] / "results.json").is_file()


def _run_folder(path: Path) -> str:
    """Returns the name of the run's folder (`run_0`) in a path, or nothing."""
    return next((part for part in path.parts if re.fullmatch(r"run_\d+", part)), "")


def read_checkpoint(path: str | Path, field: str) -> dict[str, Any]:
    """Reads a checkpoint without running code that may be in it.

    Raises:
        InputError: The file is not a checkpoint that loads with `weights_only=True`.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # torch does not compare the tensors' checksums
                if damaged := archive.testzip():
                    raise ValueError(f"wrong checksum of {damaged}")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the unpickler fail in any way
        raise InputError(
            f"{field}={path} is not a readable checkpoint; train the run again "
            f"({type(error).__name__})"
        ) from error
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise InputError(
            f"{field}={path} is not a Lightning checkpoint: it has no state_dict; give a run's"
        )
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or not tensor.isfinite().all():
            raise InputError(
                f"{field}={path} has weights that are no finite numbers ({name}); train the run "
                "again, with a lower LR_VALUE if its loss was none either"
            )
    return checkpoint
