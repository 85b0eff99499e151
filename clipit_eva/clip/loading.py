"""Image-text models by name: the entry to all that can be loaded."""

import difflib
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from PIL import Image

from clipit_eva.clip import open_clip_models
from clipit_eva.clip.model import CLIPModel
from clipit_eva.errors import InputError


def load_clip(model: str, checkpoint: str | None = None, tokenizer: str | None = None) -> CLIPModel:
    """Loads an image-text model: on the CPU, float32, evaluation mode, all weights frozen.

    Args:
        model: `hf-hub:organisation/name`, a local folder (plain or `local-dir:PATH`), or the name
            of an open_clip architecture.
        checkpoint: A weight file (safetensors, or a torch file that loads without running code),
            or for a named architecture one of open_clip's pretrained tags. Optional where the
            model brings weights, which it replaces then.
        tokenizer: A tokenizer to use instead of the model's own.

    Returns:
        The model. Its `identity` holds `model`, `architecture` (digest of the configuration),
        `weights` (SHA-256 of both towers' names, shapes and values; the same for the same weights
        in any file format), `preprocessing` and `tokenizer`.

    Raises:
        InputError: The model is unknown, not accessible, or its files do not fit together.
    """
    return open_clip_models.load(_find(model, checkpoint), tokenizer)


def load_preprocess(
    model: str, checkpoint: str | None = None
) -> Callable[[Image.Image], torch.Tensor]:
    """Builds a model's image preprocessing alone; no weights are downloaded or read.

    Args:
        model: As for `load_clip`.
        checkpoint: As for `load_clip`; pretrained tags can have preprocessing of their own.

    Returns:
        The same function as `load_clip(model, checkpoint).preprocess`.

    Raises:
        InputError: The model is unknown or not accessible.
    """
    return open_clip_models.build_preprocess(_find(model, checkpoint))


def _find(model: str, checkpoint: str | None) -> open_clip_models.Source:
    """Finds out what a model name means."""
    if model.startswith("hf-hub:"):
        return open_clip_models.from_hub(model.removeprefix("hf-hub:"), checkpoint)
    if model.startswith("local-dir:"):
        folder = Path(model.removeprefix("local-dir:"))
        if not folder.is_dir():
            raise InputError(f"CLIP model folder {folder} does not exist; check the path")
        return open_clip_models.from_folder(folder, checkpoint)
    architectures = open_clip.list_models()
    if model in architectures:
        return open_clip_models.from_architecture(model, checkpoint)
    if Path(model).is_dir():
        return open_clip_models.from_folder(Path(model), checkpoint)
    raise InputError(_unknown(model, architectures))


def _unknown(model: str, names: list[str]) -> str:
    """Says how an unknown model might have been meant."""
    if Path(model).is_file():
        return (
            f"CLIP model {model} is a file: give its architecture as the model and the file as "
            "the checkpoint"
        )
    lower = {name.lower(): name for name in names}
    near = [lower[name] for name in difflib.get_close_matches(model.lower(), lower)]
    if model.count("/") == 1:
        near.insert(0, f"hf-hub:{model}")
    hint = f"did you mean {', '.join(near)}? It" if near else "it"
    return (
        f"unknown CLIP model {model!r}; {hint} must be hf-hub:ORGANISATION/NAME, a local folder, "
        "or an open_clip architecture with a checkpoint"
    )
