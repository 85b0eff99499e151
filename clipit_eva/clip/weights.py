"""A model's files: reading them safely, loading weights strictly, telling models apart."""

import hashlib
import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from clipit_eva.clip import hub
from clipit_eva.errors import InputError

OF_OPENAI = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Sizes that OpenAI's own archives carry beside the weights, and no others."""

_OF_NO_TOWER = OF_OPENAI | {"logit_scale", "logit_bias"}


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Reads named weights from a safetensors or a torch file, without running code from it.

    A torch file may hold the weights at its top level or under `state_dict`; the `module.` prefix
    of data-parallel training is removed. They come to the CPU.

    Raises:
        InputError: The file is missing, damaged, holds Python objects beside weights that safe
            loading refuses, or holds no weights.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path} does not exist; check the path")
    content = _read(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise InputError(
            f"checkpoint {path} is not a mapping of weight names to tensors; save a state dict"
        )
    if not content:
        raise InputError(f"checkpoint {path} holds no weights")
    if all(name.startswith("module.") for name in content):
        return {name.removeprefix("module."): value for name, value in content.items()}
    return dict(content)


def find_weights(source: str | Path, names: Sequence[str], checkpoint: str | None = None) -> Path:
    """Returns the first of some weight files that a hub repository (str) or a folder (Path) has.

    A checkpoint is taken in place of them.

    Raises:
        InputError: It has none of them, or the repository is not accessible.
    """
    if checkpoint:
        return Path(checkpoint)
    if isinstance(source, str):
        found = hub.download(source, names)
    else:
        found = next((source / name for name in names if (source / name).is_file()), None)
    if found is None:
        raise InputError(
            f"CLIP model {source} has none of the weight files {', '.join(names)}; give one as "
            "checkpoint"
        )
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object; raises InputError if a file holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object")
    return content


def digest_json(value: Any) -> str:
    """Returns a SHA-256, in hex, of a JSON-serialisable value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=dict).encode()).hexdigest()


def load_strictly(
    towers: nn.Module, state: Mapping[str, torch.Tensor], source: str, decoder: bool = False
) -> None:
    """Copies weights into towers, whose names and shapes they must match exactly, and freezes them.

    The towers are float32 afterwards. What a file (`source`, in messages) holds of the loss is
    passed over, and with `decoder` a caption decoder too: it embeds nothing.

    Raises:
        InputError: A weight is missing, unknown, or of another shape.
    """
    unused = ("text_decoder.",) if decoder else ()
    weights = {
        name: value
        for name, value in state.items()
        if name not in _OF_NO_TOWER
        and not name.endswith("embeddings.position_ids")  # older versions stored these
        and not name.startswith(unused)
    }
    expected = towers.state_dict()
    faults = [f"lacks {name!r}" for name in expected if name not in weights]
    faults += [f"has unknown {name!r}" for name in weights if name not in expected]
    faults += [
        f"{name!r} has shape {tuple(weights[name].shape)}, expected {tuple(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if faults:
        more = f" (and {len(faults) - 1} more differences)" if len(faults) > 1 else ""
        raise InputError(
            f"{source} does not fit the model's architecture: it {faults[0]}{more}; give the "
            "architecture these weights were trained with"
        )
    towers.load_state_dict(weights)
    towers.float().requires_grad_(False)


def digest_weights(*modules: nn.Module) -> str:
    """Returns a SHA-256, in hex, of parameters and persistent buffers of modules on the CPU.

    It covers names, dtypes, shapes and values in the order of the modules and sorted names, so that
    it is the same for the same weights whichever file format they came in.
    """
    digest = hashlib.sha256()
    for position, module in enumerate(modules):
        for name, value in sorted(module.state_dict().items()):
            digest.update(f"{position}.{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"checkpoint {path} cannot be loaded safely: it is damaged or holds Python objects "
            "beside weights; save its state dict alone, best as safetensors"
        ) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"checkpoint {path} is damaged or no weight file ({error}); download it again"
        ) from error
