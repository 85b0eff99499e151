"""Image-text models by name: the entry to all that can be loaded."""

import difflib
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from PIL import Image

from clipit_eva.clip import hf_models, hub, open_clip_models, registry
from clipit_eva.clip.encoders import evaluation_transform
from clipit_eva.clip.model import CLIPModel
from clipit_eva.clip.registry import NamedModel
from clipit_eva.errors import InputError

_REGISTERED_REPOSITORIES = {"hf-hub:mahmoodlab/conch": "conch"}
"""Repositories of a layout of their own, and the registered name that loads them."""


def load_clip(model: str, checkpoint: str | None = None, tokenizer: str | None = None) -> CLIPModel:
    """Loads an image-text model: on the CPU, float32, evaluation mode, all weights frozen.

    Args:
        model: A registered name (`clipit_eva.clip.registry.list_models`: conch, plip, ...),
            `hf-hub:organisation/name`, a local folder (plain or `local-dir:PATH`), or the name of
            an open_clip architecture. Repositories and folders have open_clip's layout or that of
            transformers' `CLIPModel`.
        checkpoint: A weight file (safetensors, or a torch file that loads without running code),
            or for a named architecture one of open_clip's pretrained tags. Optional where the
            model brings weights, which it replaces then.
        tokenizer: A tokenizer to use instead of the model's own: for CONCH its tokenizer file,
            otherwise a folder or hub repository of the Hugging Face layout.

    Returns:
        The model. Its `identity` holds `model`, `architecture` (digest of the configuration),
        `weights` (SHA-256 of both towers' names, shapes and values; the same for the same weights
        in any file format), `preprocessing` and `tokenizer`.

    Raises:
        InputError: The model is unknown, not accessible, or its files do not fit together.
    """
    return _find(model).load(checkpoint, tokenizer)


def load_preprocess(
    model: str, checkpoint: str | None = None
) -> Callable[[Image.Image], torch.Tensor]:
    """Builds `load_clip(model, checkpoint).preprocess` alone; no weights are downloaded or read.

    The checkpoint counts because pretrained tags can have preprocessing of their own.

    Raises:
        InputError: The model is unknown or not accessible.
    """
    return _find(model).preprocess(checkpoint)


def _find(model: str) -> NamedModel:
    model = _REGISTERED_REPOSITORIES.get(model.lower(), model)
    if model.startswith("hf-hub:"):
        return _from_hub(model.removeprefix("hf-hub:"))
    if model.startswith("local-dir:"):
        return _from_folder(Path(model.removeprefix("local-dir:")))
    registered = registry.find_model(model)
    if registered is not None:
        return registered
    if model in open_clip.list_models():
        return _from_open_clip(lambda file: open_clip_models.from_architecture(model, file))
    if Path(model).is_dir():
        return _from_folder(Path(model))
    raise InputError(_unknown(model))


def _from_hub(repository: str) -> NamedModel:
    """Finds out which layout a repository has."""
    names = (open_clip_models.CONFIG_FILE, hf_models.CONFIG_FILE)
    config = hub.download(repository, names)
    if config is None:
        raise InputError(
            f"hf-hub:{repository} is no CLIP model: it has neither {names[0]} nor {names[1]}"
        )
    if config.name == open_clip_models.CONFIG_FILE:
        return _from_open_clip(lambda file: open_clip_models.from_hub(repository, config, file))
    return hf_models.from_hub(repository, f"hf-hub:{repository}")


def _from_folder(folder: Path) -> NamedModel:
    """Finds out which layout a folder has."""
    if not folder.is_dir():
        raise InputError(f"CLIP model folder {folder} does not exist; check the path")
    if (folder / open_clip_models.CONFIG_FILE).is_file():
        return _from_open_clip(lambda file: open_clip_models.from_folder(folder, file))
    if not (folder / hf_models.CONFIG_FILE).is_file():
        raise InputError(
            f"CLIP model folder {folder} has neither {open_clip_models.CONFIG_FILE} nor "
            f"{hf_models.CONFIG_FILE}; give a model's folder"
        )
    return hf_models.from_folder(folder)


def _from_open_clip(find: Callable[[str | None], open_clip_models.Source]) -> NamedModel:
    """Returns a model of open_clip's layout, given how to find it with a checkpoint."""
    return NamedModel(
        load=lambda checkpoint, tokenizer: open_clip_models.load(find(checkpoint), tokenizer),
        preprocess=lambda checkpoint: evaluation_transform(find(checkpoint).preprocessing),
    )


def _unknown(model: str) -> str:
    """Says how an unknown model might have been meant."""
    if Path(model).is_file():
        return (
            f"CLIP model {model} is a file: give its architecture as the model and the file as "
            "the checkpoint"
        )
    registered = registry.list_models()
    lower = {name.lower(): name for name in (*registered, *open_clip.list_models())}
    near = [lower[name] for name in difflib.get_close_matches(model.lower(), lower)]
    if model.count("/") == 1:
        near.insert(0, f"hf-hub:{model}")
    hint = f"did you mean {', '.join(near)}? It" if near else "it"
    return (
        f"unknown CLIP model {model!r}; {hint} must be one of {', '.join(registered)}, "
        "hf-hub:ORGANISATION/NAME, a local folder, or an open_clip architecture with a checkpoint"
    )
