"""What a checkpoint says of its run, and its use on other images."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from eva.vision.data.datasets import BACH, CRC
from eva.vision.data.transforms.common import ResizeAndCrop
from lightning.pytorch.trainer.states import TrainerFn

from clipit_eva.clip import CLIPPreprocess
from clipit_eva.data import HoldOut, ImageFolder
from clipit_eva.errors import InputError
from clipit_eva.eva import activation, compat
from clipit_eva.models import made_with

FIELD = "CHECKPOINT=best.ckpt"
CLASSES = ["Benign", "InSitu", "Invasive", "Normal"]
TRANSFORMS = {
    "class_path": "eva.vision.data.transforms.common.ResizeAndCrop",
    "init_args": {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
}
MADE: dict[str, Any] = {
    "backbone": {
        "class_path": "eva.vision.models.ModelFromRegistry",
        "init_args": {"model_name": "clipit_eva/demo_vit", "model_extra_kwargs": None},
    },
    "transforms": TRANSFORMS,
    "classes": CLASSES,
    "seed": 7,
}


def trainer(function: TrainerFn, **datasets: Any) -> Any:
    data = SimpleNamespace(datasets=SimpleNamespace(**datasets))
    return SimpleNamespace(datamodule=data, state=SimpleNamespace(fn=function))


@pytest.mark.parametrize(
    ("function", "stage"),
    [
        (TrainerFn.PREDICTING, "predict"),
        (TrainerFn.VALIDATING, "val"),
        (TrainerFn.TESTING, "test"),
    ],
)
def test_images_are_transformed_as_the_runs_were(function: TrainerFn, stage: str) -> None:
    dataset = BACH("x", split="train")
    given = [HoldOut(dataset, "hold_out")] if stage == "test" else dataset
    made_with.prepare_data(trainer(function, **{stage: given}), MADE, FIELD)
    image = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    expected = ResizeAndCrop(**TRANSFORMS["init_args"])(image)
    assert torch.equal(compat.transforms_of(dataset)(image), expected)


def test_images_are_seen_as_clip_does_if_the_runs_were(clip_folder: Path) -> None:
    arguments = {"model": str(clip_folder), "checkpoint": None}
    clip = {"class_path": "clipit_eva.clip.transforms.CLIPPreprocess", "init_args": arguments}
    dataset = BACH("x", split="train")
    where = trainer(TrainerFn.PREDICTING, predict=dataset)
    made_with.prepare_data(where, {**MADE, "transforms": clip}, FIELD)
    image = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8)
    expected, _ = CLIPPreprocess(**arguments)(image, 0)
    assert torch.equal(compat.transforms_of(dataset)(image, 0)[0], expected)


def test_a_transform_of_ones_own_stays() -> None:
    dataset = BACH("x", split="train", transforms=len)
    made_with.prepare_data(trainer(TrainerFn.PREDICTING, predict=dataset), MADE, FIELD)
    assert compat.transforms_of(dataset) is len


@pytest.mark.parametrize(
    "dataset", [CRC("x", split="val"), ImageFolder("x", classes=list(reversed(CLASSES)))]
)
def test_other_classes_are_refused(dataset: Any) -> None:
    with pytest.raises(InputError, match=r"run's classes are Benign, .*; predict with the config"):
        made_with.prepare_data(trainer(TrainerFn.PREDICTING, predict=dataset), MADE, FIELD)


@pytest.mark.parametrize(
    "made", [{}, {**MADE, "transforms": {"class_path": "mine.Transform", "init_args": {}}}]
)
def test_an_unknown_transform_has_to_be_given(made: dict[str, Any]) -> None:
    where = trainer(TrainerFn.PREDICTING, predict=BACH("x", split="val"))
    with pytest.raises(InputError, match=r"transforms are .*; give it in the config"):
        made_with.prepare_data(where, made, FIELD)


def test_the_backbone_is_made_anew_and_the_random_state_kept() -> None:
    activation.register_backbones()
    before = torch.random.get_rng_state()
    first, second = (made_with.build_backbone(MADE, FIELD) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    for ours, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (None, "model.backbone is unknown"),
        ({"class_path": "os.system", "init_args": {"command": "false"}}, "model.backbone is os.sy"),
        (
            {
                "class_path": "eva.vision.models.ModelFromRegistry",
                "init_args": {"model_name": "no/model"},
            },
            "MODEL_NAME=no/model cannot be made",
        ),
    ],
)
def test_a_backbone_that_is_none_of_evas_has_to_be_given(backbone: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made_with.build_backbone({**MADE, "backbone": backbone}, FIELD)


def test_without_eva_the_classes_are_recorded_alone(tmp_path: Path) -> None:
    data = SimpleNamespace(datasets=SimpleNamespace(train=BACH(str(tmp_path), split="train")))
    described = made_with.describe(SimpleNamespace(datamodule=data))
    assert described["classes"] == CLASSES
    assert described["backbone"] is described["transforms"] is None
