"""Image-text models that have a name of their own: CONCH, PLIP, and those of other packages.

A package registers a model by an entry point whose name is the model's and whose object is a
`NamedModel`:

    [project.entry-points."clipit_eva.clip_models"]
    my-clip = "my_package.clip:MY_CLIP"
"""

import dataclasses
import importlib
from collections.abc import Callable
from importlib import metadata

import torch
from PIL import Image

from clipit_eva.clip.model import CLIPModel
from clipit_eva.errors import InputError

ENTRY_POINTS = "clipit_eva.clip_models"
"""The entry point group in which other packages register models."""

_OWN_PACKAGE = "clipit_eva"
_OWN = {
    "conch": "clipit_eva.clip.conch.conch_loading:CONCH",
    "plip": "clipit_eva.clip.hf_models:PLIP",
}


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """How to load a model that has a name."""

    load: Callable[[str | None, str | None], CLIPModel]
    """(checkpoint, tokenizer) -> the model; `None` stands for the model's own."""

    preprocess: Callable[[str | None], Callable[[Image.Image], torch.Tensor]]
    """(checkpoint) -> the image preprocessing alone, without reading weights."""


def list_models() -> dict[str, str]:
    """Returns the registered names and the package each comes from, without importing any."""
    names = dict.fromkeys(_OWN, _OWN_PACKAGE)
    for entry_point in metadata.entry_points(group=ENTRY_POINTS):
        names.setdefault(entry_point.name, _package(entry_point))
    return dict(sorted(names.items()))


def find_model(name: str) -> NamedModel | None:
    """Returns a registered model, or `None` when there is none of that name.

    Raises:
        InputError: Two packages register the name, or the one that does is broken.
    """
    found = [e for e in metadata.entry_points(group=ENTRY_POINTS) if e.name == name]
    packages = [_OWN_PACKAGE] * (name in _OWN) + sorted(_package(e) for e in found)
    if len(packages) > 1:
        raise InputError(
            f"CLIP model {name!r} is registered by {' and '.join(packages)}; uninstall one"
        )
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    if not found:
        return None
    theirs = f"CLIP model {name!r} of package {packages[0]}"
    try:
        model = found[0].load()
    except Exception as error:  # whatever the other package's import brings
        raise InputError(f"{theirs} cannot be imported: {error!r}") from error
    if not isinstance(model, NamedModel):
        kind = type(model).__name__
        raise InputError(f"{theirs} is a {kind}; its entry point must be a {__name__}.NamedModel")
    return model


def _package(entry_point: metadata.EntryPoint) -> str:
    """Returns the name of the distribution that declares an entry point."""
    return entry_point.dist.name if entry_point.dist else entry_point.value
