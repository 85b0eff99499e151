"""What we borrow from inside other libraries: names that they do not promise to keep.

Each has a test in `tests/eva/test_compat.py` that says what breaks when it moves. Libraries are
imported where they are used, so that importing this module costs nothing.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def random_state_kept(class_type: type) -> contextlib.AbstractContextManager[Any]:
    """Keeps a backbone's construction from changing the random numbers drawn after it.

    A run from embeddings, which loads no backbone, then has the numbers of one from images: heads
    are drawn after the backbone from the same generator. eva makes the head of its own HeadModule
    before any callback is called, so that no argument or callback can do this. It happens in `eva`
    processes whose config names a class of ours, see `activation`.
    """
    import torch
    from eva.core.models.wrappers import BaseModel

    if issubclass(class_type, BaseModel):
        return torch.random.fork_rng(devices=[])
    return contextlib.nullcontext()


def watch_parser_errors(report: Callable[[str], None]) -> None:
    """Calls a function with the message of a mistake in the process's arguments, before it ends.

    jsonargparse has no handler of errors for parsers that somebody else makes, as eva does.
    """
    import jsonargparse

    original = jsonargparse.ArgumentParser.error

    def error(parser: Any, message: str, *arguments: Any, **options: Any) -> Any:
        if parser.exit_on_error:
            report(message)
        return original(parser, message, *arguments, **options)

    jsonargparse.ArgumentParser.error = error  # type: ignore[method-assign]


def keep_frozen(instance: Any) -> None:
    """Puts the frozen backbone of eva's HeadModule in evaluation mode, where eva does not.

    In training mode a backbone without gradients still moves its BatchNorm statistics and drops
    units and paths. Lightning trains in the mode that it finds, and gives it back after validation.
    """
    from eva.core.models.modules import HeadModule

    if isinstance(instance, HeadModule) and instance.backbone is not None:
        instance.backbone.eval()  # type: ignore[union-attr]


def check_images_of_eva(check: Callable[[str], object]) -> None:
    """Lets eva's datasets read an image file only after a check, once a file and process.

    They all read by one function of eva's, which fills what is missing of a file with grey and cuts
    16 bits to 8 without a word. What it returns stays as it is.
    """
    from eva.vision.utils import io

    read = io.read_image_as_tensor

    @functools.cache
    def check_once(path: str) -> None:
        check(path)

    def read_checked(path: str) -> Any:
        check_once(path)
        return read(path)

    io.read_image_as_tensor = read_checked


def collate_functions() -> dict[Any, Callable[..., Any]]:
    """Returns torch's functions that collate samples by their type, open to further types.

    torch documents this mapping as the way to collate own types, and keeps it in a private module.
    """
    from torch.utils.data._utils.collate import default_collate_fn_map

    return default_collate_fn_map


def register_lora_layer(config: Any, layer: type, adapter: type) -> None:
    """Lets a peft LoRA configuration wrap layers of a kind that it does not know.

    peft calls it experimental and has no other way.
    """
    config._register_custom_module({layer: adapter})


def dataset_root(dataset: Any) -> Path | None:
    """Returns the folder of one of eva's datasets, which keep it in a private attribute."""
    root = getattr(dataset, "_root", None)
    return Path(root) if isinstance(root, str | Path) else None


def transforms_of(dataset: Any) -> Any:
    """Returns the transform of one of eva's datasets; None if it has none."""
    return getattr(dataset, "_transforms", None)


def set_transforms(dataset: Any, transforms: Any) -> None:
    """Sets the transform of one of eva's datasets, which take it when they are made alone."""
    dataset._transforms = transforms


def is_eva_dataset(instance: Any) -> bool:
    """Whether an object is a vision dataset of eva's own, not a wrapper of ours."""
    from eva.vision.data.datasets import vision

    own = type(instance).__module__.startswith("eva.")
    return own and isinstance(instance, vision.VisionDataset)


def is_eva_backbone(class_type: type) -> bool:
    """Whether a class is one of eva's own wrappers of a backbone."""
    from eva.core.models.wrappers import BaseModel

    return issubclass(class_type, BaseModel) and class_type.__module__.startswith("eva.")


def registered_backbone(name: str) -> Callable[..., Any] | None:
    """Returns what makes a backbone of eva's registry; None if it has none of the name."""
    from eva.vision.models import backbones

    make = backbones.backbone_registry._registry.get(name)
    return getattr(make, "original", make)


def register_backbone(
    name: str, make: Callable[..., Any], arguments: Mapping[str, Any] | None
) -> None:
    """Puts what makes a backbone into eva's registry, in place of another of the name.

    Args:
        name: The backbone's name.
        make: What makes it.
        arguments: Arguments that it is to be made with: eva hands on those alone that are in its
            signature. None leaves that as it is.
    """
    from eva.vision.models import backbones

    if arguments is not None:
        original, named = make, inspect.Parameter.KEYWORD_ONLY
        make = lambda **given: original(**given)  # noqa: E731
        make.original = original  # type: ignore[attr-defined]
        parameters = [inspect.Parameter(argument, named) for argument in arguments]
        make.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    backbones.backbone_registry._registry[name] = make


def untaken_arguments(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Returns the arguments of a backbone of eva's registry that eva drops without a word.

    It hands on those alone that the backbone's function names itself, whatever else that takes.
    """
    from eva.vision.models import backbones

    registry = backbones.backbone_registry
    if name not in registry.entries():
        return []  # eva says so
    taken = inspect.signature(registry.get(name)).parameters
    return [argument for argument in arguments if argument not in taken]


def sample_files(dataset: Any) -> list[Path] | None:
    """Returns the files of one of eva's datasets' images, in order; None if they cannot be told.

    eva's datasets keep the folder that file names are relative to, or the file of all images, to
    themselves.
    """
    if hasattr(dataset, "_h5_file"):
        return [Path(dataset._h5_file("x"))]
    for folder in (getattr(dataset, "_dataset_path", None), dataset_root(dataset)):
        if folder is not None and len(dataset) and (Path(folder) / dataset.filename(0)).is_file():
            return [Path(folder) / dataset.filename(index) for index in range(len(dataset))]
    return None


def output_transform(model: Any) -> Any:
    """Returns what one of eva's model wrappers does to its network's output."""
    return model._output_transforms


def takes_class_token_only(transform: Any) -> bool:
    """Whether eva's ExtractCLSFeatures takes the first token and no patch tokens."""
    return transform._cls_index == 0 and not transform._include_patch_tokens


def recorded_trainer(module: Any) -> Any:
    """Returns a Lightning module's trainer, None without one: its property raises then."""
    return module._trainer


def set_computed(metric: Any, value: Any) -> None:
    """Makes a torchmetrics metric answer a value, until it is reset."""
    metric._computed = value


def convert_open_clip_state(towers: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Returns weights under the names of open_clip's model with two towers of their own.

    Args:
        towers: An `open_clip.CustomTextCLIP`.
        state: The weights as a checkpoint has them.
    """
    from open_clip import model
    from open_clip.convert import convert_state_dict

    return model.convert_to_custom_text_state_dict(convert_state_dict(towers, state))
