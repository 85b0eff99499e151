"""What a run's checkpoint says of its making, and its use on other images."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from eva.vision.data.transforms.common import ResizeAndCrop
from eva.vision.models import ModelFromRegistry
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from clipit_eva import provenance
from clipit_eva.clip.transforms import CLIPPreprocess
from clipit_eva.data.wrapper import DatasetWrapper
from clipit_eva.errors import InputError
from clipit_eva.eva import backbones, compat, mistakes, recorder
from clipit_eva.eva.recorded_config import RecordedConfig

_OWN = "which this checkpoint's run did not record as one of eva's own; give it in the config"


def describe(trainer: Any) -> dict[str, Any]:
    """Returns what fixes a run's predictions besides its weights, as plain values.

    `backbone` and `transforms` are described by class and arguments, None if `eva` did not make
    them; `classes` are the training data's names, None without; `seed` is the global one.

    Args:
        trainer: The run's trainer, or None.
    """
    config = RecordedConfig(recorder.config_as_run()).of_images()
    data: Any = getattr(trainer, "datamodule", None)
    classes = getattr(getattr(data, "datasets", None), "train", None)
    classes = getattr(classes, "classes", None)
    return {
        "backbone": config.get("model.backbone"),
        "transforms": config.part("data.datasets.train").innermost.get("transforms"),
        "classes": None if classes is None else [str(name) for name in classes],
        "seed": provenance.seed(),
    }


def build_backbone(made_with: Mapping[str, Any], field: str) -> nn.Module:
    """Returns the backbone of a run, with the weights that training loaded.

    Args:
        made_with: What the checkpoint says, of `describe`.
        field: Where the checkpoint came from, for messages.

    Raises:
        InputError: It is none of eva's registry, or cannot be loaded.
    """
    backbone = RecordedConfig(made_with.get("backbone"))
    arguments = backbone.arguments
    if backbone.class_name != ModelFromRegistry.__name__ or arguments.get("transforms"):
        raise InputError(f"{field}: model.backbone is {backbone.class_path or 'unknown'}, {_OWN}")
    try:
        backbones.check_trusted(str(arguments.get("model_name")))
        with torch.random.fork_rng(devices=[]):
            # eva seeds its process before it makes the backbone: random weights are the same then.
            torch.manual_seed(made_with.get("seed") or 0)
            with mistakes.construction(ModelFromRegistry, arguments):
                return ModelFromRegistry(**arguments)
    except InputError as error:
        raise InputError(f"{field}: {error}") from error


def prepare_data(trainer: Any, made_with: Mapping[str, Any], field: str) -> None:
    """Lets a data module's images be transformed as the run's were.

    Args:
        trainer: The trainer that is about to predict, validate or test.
        made_with: What the checkpoint says, of `describe`.
        field: Where the checkpoint came from, for messages.

    Raises:
        InputError: The data have other classes or another transform than the run had, or no
            transform where the run's is unknown.
    """
    config = RecordedConfig(recorder.config_as_run())
    own = made_with.get("transforms")
    for place, dataset in _datasets(trainer):
        classes, theirs = getattr(dataset, "classes", None), made_with.get("classes")
        if classes is not None and theirs is not None and list(classes) != theirs:
            raise InputError(
                f"{field}: the run's classes are {', '.join(theirs)}, those of {place} "
                f"{', '.join(map(str, classes))}; predict with the config of the run's task"
            )
        given = config.part(place).get("transforms")
        if compat.transforms_of(dataset) is None:
            if own is not None or not made_with:  # the run's data may have had none
                compat.set_transforms(dataset, _build_transform(own, field))
                recorder.complete(f"{place}.transforms", own)
        elif given is not None and own is not None and given != own:
            raise InputError(
                f"{field}: the run's transforms are {_in_words(own)}, those of {place} "
                f"{_in_words(given)}; leave them out to use the run's"
            )


def _build_transform(description: Any, field: str) -> ResizeAndCrop | CLIPPreprocess:
    """Returns the transform of a run."""
    transform = RecordedConfig(description)
    kinds = {kind.__name__: kind for kind in (ResizeAndCrop, CLIPPreprocess)}
    if transform.class_name not in kinds:
        raise InputError(f"{field}: transforms are {transform.class_path or 'unknown'}, {_OWN}")
    return kinds[transform.class_name](**transform.arguments)


def _datasets(trainer: Any) -> Iterator[tuple[str, Any]]:
    """Yields the eva datasets of a trainer's stage, each with its place in the config.

    Of several datasets the config has no place.
    """
    datasets = getattr(getattr(trainer, "datamodule", None), "datasets", None)
    stages = {TrainerFn.VALIDATING: "val", TrainerFn.TESTING: "test"}
    stage = stages.get(trainer.state.fn, "predict")
    given = getattr(datasets, stage, None)
    for dataset in given if isinstance(given, list) else [given]:
        place = f"data.datasets.{stage}"
        while isinstance(dataset, DatasetWrapper):
            dataset, place = dataset.wrapped, f"{place}.dataset"
        if dataset is not None:
            yield place, dataset


def _in_words(description: Any) -> str:
    """Returns a transform's class and arguments."""
    transform = RecordedConfig(description)
    arguments = ", ".join(f"{name}={value}" for name, value in transform.arguments.items())
    return f"{transform.class_name}({arguments})"
