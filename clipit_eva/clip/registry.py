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
    names = {model.name: _package(model) for model in reversed(_registered())}
    return dict(sorted(names.items()))


def find_model(name: str) -> NamedModel | None:
    """Returns a registered model, or `None` when there is none of that name.

    Raises:
        InputError: Two packages register the name, or the one that does is broken.
    """
    found = [model for model in _registered() if model.name == name]
    if not found:
        return None
    packages = [_package(model) for model in found]
    if len(packages) > 1:
        raise InputError(
            f"CLIP model {name!r} is registered by {' and '.join(packages)}; uninstall one"
        )
    theirs = f"CLIP model {name!r} of package {packages[0]}"
    try:
        model = found[0].load()
    except Exception as error:  # whatever the other package's import brings
        raise InputError(f"{theirs} cannot be imported: {error!r}") from error
    if not isinstance(model, NamedModel):
        kind = type(model).__name__
        raise InputError(f"{theirs} is a {kind}; its entry point must be a {__name__}.NamedModel")
    return model


def _registered() -> list[metadata.EntryPoint]:
    """Returns our own models, and those of other packages by the package's name."""
    return [*_OWN, *sorted(metadata.entry_points(group=ENTRY_POINTS), key=_package)]


def _package(model: metadata.EntryPoint) -> str:
    return model.dist.name if model.dist else "clipit_eva"
