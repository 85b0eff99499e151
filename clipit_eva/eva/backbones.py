"""Vision backbones by MODEL_NAME: how they are found, and what a config may leave to them.

IN_FEATURES and NORMALIZE_MEAN, NORMALIZE_STD are the backbone's own where a config has `UNSET` for
them. They are filled in before the objects are made, so that all records have the numbers.
"""

import contextlib
import functools
import importlib
import inspect
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

from clipit_eva.errors import InputError
from clipit_eva.eva import compat

_log = logging.getLogger(__name__)

UNSET: Mapping[str, Any] = {"in_features": 0, "mean": [], "std": []}
"""What arguments hold that are left to the backbone."""

Colours = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of values in [0, 1]."""

IMAGENET: Colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF: Colours = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_LUNIT: Colours = ((0.70322989, 0.53606487, 0.66096631), (0.21716536, 0.26081574, 0.20723464))
_BIOPTIMUS: Colours = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
_HIBOU: Colours = ((0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816))

PATHOLOGY: Mapping[str, tuple[int, Colours]] = {
    "pathology/bioptimus_h0_mini": (768, _BIOPTIMUS),
    "pathology/bioptimus_h_optimus_0": (1536, _BIOPTIMUS),
    "pathology/histai_hibou_b": (768, _HIBOU),
    "pathology/histai_hibou_l": (1024, _HIBOU),
    "pathology/hkust_gpfm": (1024, IMAGENET),
    "pathology/kaiko_midnight_12k": (1536, _HALF),
    "pathology/kaiko_vitb16": (768, _HALF),
    "pathology/kaiko_vitb8": (768, _HALF),
    "pathology/kaiko_vitl14": (1024, _HALF),
    "pathology/kaiko_vits16": (384, _HALF),
    "pathology/kaiko_vits8": (384, _HALF),
    "pathology/lunit_vits16": (384, _LUNIT),
    "pathology/lunit_vits8": (384, _LUNIT),
    "pathology/mahmood_uni": (1024, IMAGENET),
    "pathology/mahmood_uni2_h": (1536, IMAGENET),
    "pathology/owkin_phikon": (768, IMAGENET),
    "pathology/owkin_phikon_v2": (1024, IMAGENET),
    "pathology/paige_virchow2": (1280, IMAGENET),
    "pathology/prov_gigapath": (1536, IMAGENET),
}
"""Width and normalisation of eva's pathology backbones: what is loaded often does not say it. From
eva's guide to replicating its leaderboard; of those that it lacks, from TRIDENT's patch encoders
(arXiv 2502.06750) and the models' own pages."""

_current: tuple[str, Colours | None] | None = None
"""Name and normalisation of the backbone that this process made last; None before."""


def make_known(name: str, arguments: Mapping[str, Any]) -> None:
    """Lets eva's registry make a backbone, also by the import path of a class or function.

    eva hands on those arguments alone that a function names itself: one that takes any is wrapped.

    Args:
        name: MODEL_NAME.
        arguments: MODEL_EXTRA_KWARGS.

    Raises:
        InputError: It looks like an import path, and there is nothing there.
    """
    make = compat.registered_backbone(name) or _imported(name)
    if make is None:
        return  # eva says so
    kinds = [parameter.kind for parameter in inspect.signature(make).parameters.values()]
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    compat.register_backbone(name, make, arguments if takes_any else None)


def check_trusted(name: str) -> None:
    """Refuses an import path that a run's files name, and the process's MODEL_NAME does not.

    Raises:
        InputError: It does not: the files may come from someone else.
    """
    if _is_path(name) and os.environ.get("MODEL_NAME") != name:
        raise InputError(
            f"MODEL_NAME={name} of the run is code of your own or someone else's; set the variable "
            "MODEL_NAME to it if you trust it"
        )


def fill(class_type: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of an object that is about to be made, with what the backbone knows.

    Raises:
        InputError: What is left to the backbone cannot be read from it.
    """
    global _current
    filled = dict(arguments)
    backbone = filled.get("backbone")
    if class_type.__name__ == "ResizeAndCrop":
        for place, name in enumerate(("mean", "std")):
            if name in filled:
                filled[name] = _own_unless_set(name, filled[name], place)
    # An identity stands where a callback embeds images, whose backbone was made before.
    elif hasattr(backbone, "modules") and type(backbone).__name__ != "Identity":
        _fill_width(filled, backbone)
        _current = (_name(backbone), normalisation(backbone))
    return filled


def normalisation(backbone: Any) -> Colours | None:
    """Returns what a backbone's images are normalised by; None if it does not say.

    It says so by a name of eva's, or by `pretrained_cfg` as timm's models do.
    """
    if hasattr(type(backbone), "normalisation"):
        return backbone.normalisation()  # its embeddings are on disk
    if found := known_normalisation(getattr(backbone, "_model_name", "")):
        return found
    for module in _wrapped(backbone):
        config = getattr(module, "pretrained_cfg", None)
        if isinstance(config, Mapping) and config.get("mean") and config.get("std"):
            return tuple(config["mean"]), tuple(config["std"])
    return None


def known_normalisation(name: str) -> Colours | None:
    """Returns the normalisation of a backbone that its name tells, if it does."""
    if name.startswith("universal/"):
        return IMAGENET
    return PATHOLOGY[name][1] if name in PATHOLOGY else None


def width_of(backbone: Any, images: Any, name: str) -> int:
    """Returns the width of a backbone's embedding, from images [1, 3, H, W].

    Raises:
        InputError: It gives no embedding [1, d], or the logits of a classifier, unless IN_FEATURES
            says that these are meant.
    """
    import torch

    with torch.inference_mode(), torch.random.fork_rng(devices=[]), _evaluated(backbone):
        output = backbone(images)
    if not isinstance(output, torch.Tensor) or output.ndim != 2:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output)
        raise InputError(
            f"MODEL_NAME={name} gives {shape} for an image, not one embedding [1, d]; choose a "
            "backbone (or MODEL_EXTRA_KWARGS) that gives one"
        )
    width = output.shape[1]
    is_classifier = any(getattr(m, "num_classes", 0) == width for m in _wrapped(backbone))
    if is_classifier and os.environ.get("IN_FEATURES", "").strip() != str(width):
        raise InputError(
            f"MODEL_NAME={name} gives the logits of {width} classes; set MODEL_EXTRA_KWARGS="
            f"{{num_classes: 0}} for its embedding, or IN_FEATURES={width} to take them for one"
        )
    return width


def _fill_width(arguments: dict[str, Any], backbone: Any) -> None:
    """Fills in the width of a module's embeddings where it is unset, in place."""
    head: Any = arguments.get("head")  # of eva's HeadModule: made later, from a mapping
    inner = head.get("init_args", {}) if isinstance(head, Mapping) else {}
    given = (arguments.get("in_features"), inner.get("in_features"))
    if str(UNSET["in_features"]) not in map(str, given):  # a head's, not parsed yet, are text
        return
    on_disk = hasattr(type(backbone), "width")
    width = backbone.width() if on_disk else _from_blank(backbone)
    if "in_features" in arguments:
        arguments["in_features"] = width
    else:
        arguments["head"] = {**head, "init_args": {**inner, "in_features": width}}


def _from_blank(backbone: Any) -> int:
    """Returns the width of a backbone's embedding, from a blank image of RESIZE_DIM."""
    import torch
    import yaml

    name = _name(backbone)
    size = yaml.safe_load(os.environ.get("RESIZE_DIM", "224"))
    height, width = (size * 2)[:2] if isinstance(size, list) else (size, size)
    try:
        return width_of(backbone, torch.zeros(1, 3, height, width), name)
    except InputError:
        raise
    except Exception as error:  # an encoder may fail in any way
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"IN_FEATURES cannot be read from MODEL_NAME={name}: it takes no image of {height} x "
            f"{width} pixels ({line}); set RESIZE_DIM to a size that it takes, or IN_FEATURES"
        ) from error


def _own_unless_set(name: str, given: Any, place: int) -> Any:
    """Returns the backbone's own numbers unless others are given; one line tells these apart."""
    variable = f"NORMALIZE_{name.upper()}"
    backbone, colours = _current or ("", None)
    own = list((colours or IMAGENET)[place])
    if list(given) == UNSET[name]:
        if backbone and colours is None:
            _log_once(f"{variable}: {backbone} does not say its own; ImageNet's {own} it is")
        return own
    if colours is not None and any(abs(a - b) > 1e-3 for a, b in zip(given, own, strict=False)):
        _log_once(f"{variable}={list(given)}, but {backbone}'s own is {own}; unset it to use that")
    return given


@functools.cache
def _log_once(message: str) -> None:
    _log.warning(message)


def _name(backbone: Any) -> str:
    """Returns the MODEL_NAME of a backbone, or its class."""
    return getattr(backbone, "_model_name", "") or type(backbone).__name__


def _is_path(name: str) -> bool:
    return "." in name and "/" not in name


def _imported(name: str) -> Any:
    """Returns the class or function at an import path; None if the name is none."""
    if not _is_path(name):
        return None
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"MODEL_NAME={name} is none of eva's, and nothing can be imported there ({error}); "
            "install its package, or put its folder into PYTHONPATH"
        ) from error


def _wrapped(backbone: Any) -> Iterator[Any]:
    """Yields a backbone and what eva's wrappers wrap, from the outside."""
    for _ in range(3):  # eva's ModelFromRegistry, its TimmModel, the model
        yield backbone
        backbone = getattr(backbone, "model", None)


@contextlib.contextmanager
def _evaluated(backbone: Any) -> Iterator[None]:
    """Puts a backbone in evaluation mode, and each part back in its own."""
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
