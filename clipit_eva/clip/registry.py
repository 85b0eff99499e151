"""Image-text models that have a name of their own: CONCH, PLIP, and those of other packages.

A package registers a model by an entry point whose name is the model's and whose object is a
`NamedModel`:

    [project.entry-points."clipit_eva.clip_models"]
    my-clip = "my_package.clip:MY_CLIP"
"""

import dataclasses
from collections.abc import Callable
from importlib import metadata

import torch
from PIL import Image

from clipit_eva import entry_points
from clipit_eva.clip.model import CLIPModel
from clipit_eva.errors import InputError

ENTRY_POINTS = "clipit_eva.clip_models"
"""The entry point group in which other packages register models."""

_OWN = (
    metadata.EntryPoint("conch", "clipit_eva.clip.conch.conch_loading:CONCH", ENTRY_POINTS),
    metadata.EntryPoint("plip", "clipit_eva.clip.hf_models:PLIP", ENTRY_POINTS),
)


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """How to load a model that has a name."""

    load: Callable[[str | None, str | None], CLIPModel]
    """(checkpoint, tokenizer) -> the model; `None` stands for the model's own."""

    preprocess: Callable[[str | None], Callable[[Image.Image], torch.Tensor]]
    """(checkpoint) -> the image preprocessing alone, without reading weights."""


def list_models() -> dict[str, str]:
    """Returns the registered names and the package each comes from, without importing any."""
    return dict(entry_points.list_names(ENTRY_POINTS, _OWN))


def find_model(name: str) -> NamedModel | None:
    """Returns a registered model, or `None` when there is none of that name.

    Raises:
        InputError: Two packages register the name, or the one that does is broken.
    """
    found = entry_points.load(ENTRY_POINTS, _OWN, name, f"CLIP model {name!r}")
    if found is None:
        return None
    model, theirs = found
    if not isinstance(model, NamedModel):
        kind = type(model).__name__
        raise InputError(f"{theirs} is a {kind}; its entry point must be a {__name__}.NamedModel")
    return model
