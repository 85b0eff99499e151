"""The shipped configs of the authors' recipe, line by line against what their code does."""

from typing import Any

import pytest

from clipit_eva.data.hold_out import SEED, SHARE
from clipit_eva.eva.recorded_config import RecordedConfig
from clipit_eva.tasks import configs

TASKS = ("bach", "crc", "patch_camelyon")
"""Those of the authors' code."""

SHARED: dict[str, dict[str, Any]] = {
    "LoRA": {
        "model.lora": {
            "rank": 16,
            "alpha": 8,
            "dropout": 0,
            "targets": ["Linear", "Embedding", "Conv2d"],
            "vision": True,
            "text": True,
        },
        "model.vision_head_lora": True,
    },
    "criterion": {"model.criterion": "softmax_cross_entropy"},
    "distillation": {
        "model.distillation": "cosine",
        "model.distill_weight": 1,
        "model.text_gradient": True,
        "model.word_dropout": 0,
        "data.datasets.train.distill_weight": 1,
    },
    "optimiser": {
        "model.optimizer": {
            "class_path": "torch.optim.Adam",
            "init_args": {"lr": 0.001, "weight_decay": 0.0001},
        },
        "model.lr_scheduler": None,
        "trainer.gradient_clip_val": 0.5,
        "data.dataloaders.train.batch_size": 64,
        "data.dataloaders.train.shuffle": True,
    },
    "length": {
        "trainer.max_epochs": 1,
        "trainer.max_steps": -1,
        "trainer.val_check_interval": 0.1,
    },
    "selection": {
        "model.validation_distillation": True,
        "data.datasets.val.distill_weight": 1,
        "data.datasets.val.top_k": 1,
    },
    "pairing": {
        "data.datasets.train.top_k": 1,
        "model.reports.policy": "truncate",
        "model.reports.clip_model": "conch",
        "model.reports.preparation.cleaning": False,
    },
    "labels": {"data.datasets.train.dataset.labels_per_class": None},
}
"""Where all tasks are alike: the matter, then the config's values."""

CLASSES = {"patch_camelyon": 2, "bach": 4, "crc": 9}
HELD_OUT = {"patch_camelyon": [{}, {}, {}],
            "bach": [{"part": "train", "every": 20}, {"part": "hold_out", "every": 20}, {}],
            "crc": [{"part": "train"}, {"part": "hold_out"}, {}]}  # fmt: skip
"""Arguments of the hold-outs of train, val and test; by default stratified, 20 %, seed 42."""

OF_EVA = ("train", "train", "val")
SPLITS = {"patch_camelyon": ("train", "val", "test"), "bach": OF_EVA, "crc": OF_EVA}


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def recipe(task: str) -> RecordedConfig:
    return RecordedConfig(configs.resolved(configs.path(f"clip_it_authors/{task}"), {}))


@pytest.mark.parametrize("matter", SHARED)
def test_what_all_tasks_share(matter: str, recipe: RecordedConfig) -> None:
    found = {path: recipe.get(path) for path in SHARED[matter]}
    assert found == SHARED[matter]


def test_heads_are_one_logit_a_class(task: str, recipe: RecordedConfig) -> None:
    assert recipe.get("model.num_classes") == CLASSES[task]


def test_lowest_validation_loss_selects_and_nothing_stops_early(recipe: RecordedConfig) -> None:
    callbacks = recipe.get("trainer.callbacks")
    checkpoint = RecordedConfig(callbacks).first("ModelCheckpoint")
    assert (checkpoint.get("monitor"), checkpoint.get("mode")) == ("val/AverageLoss", "min")
    assert checkpoint.get("save_top_k") == 1
    assert recipe.get("trainer.checkpoint_type") == "best"
    assert RecordedConfig(callbacks).first("EarlyStopping").value is None
    assert "eva.metrics.AverageLoss" in str(recipe.get("model.metrics"))


def test_validation_and_training_read_the_same_pairs_and_the_test_none(
    recipe: RecordedConfig,
) -> None:
    train, val, test = (recipe.part(f"data.datasets.{part}") for part in ("train", "val", "test"))
    assert train.class_name == val.class_name == "PairedDataset"
    for name in ("reports", "pairing_table"):
        assert train.get(name) == val.get(name) is not None
    assert test.first("PairedDataset").value is None


def test_splits(task: str, recipe: RecordedConfig) -> None:
    parts = [recipe.part(f"data.datasets.{part}") for part in ("train", "val", "test")]
    assert tuple(part.innermost.get("split") for part in parts) == SPLITS[task]
    assert tuple(part.get("split") for part in parts[:2]) == SPLITS[task][:2]
    held = [dict(part.first("HoldOut").arguments) for part in parts]
    for arguments in held:
        arguments.pop("dataset", None)
    assert held == HELD_OUT[task]
    assert (SHARE, SEED) == (0.2, 42)


def test_images(task: str, recipe: RecordedConfig) -> None:
    """PatchCamelyon's are changed at random and seen as CLIP sees them; the others' are eva's."""
    train = recipe.part("data.datasets.train")
    augmentation = train.first("FewLabels").get("augmentation")
    transforms = {
        recipe.part(f"data.datasets.{part}").innermost.part("transforms").class_name
        for part in ("train", "val", "test")
    }
    if task == "patch_camelyon":
        assert (augmentation, transforms) == ("flips_and_jitter", {"CLIPPreprocess"})
        assert train.innermost.get("transforms.model") == "conch"
    else:
        assert (augmentation, transforms) == (None, {"ResizeAndCrop"})
        assert train.innermost.get("transforms.size") == 224
    for part in ("val", "test"):
        assert recipe.part(f"data.datasets.{part}").first("FewLabels").value is None


def test_normalisation_is_the_backbones() -> None:
    """The authors': 0.5, and ImageNet's for UNI; unset, it is read from the backbone."""
    path = configs.path("clip_it_authors/bach")
    config = RecordedConfig(configs.resolved(path, {"NORMALIZE_MEAN": "[0.5, 0.5, 0.5]"}))
    assert config.part("data.datasets.train").innermost.get("transforms.mean") == [0.5] * 3
    plain = RecordedConfig(configs.resolved(path, {}))
    assert plain.part("data.datasets.train").innermost.get("transforms.mean") == []


def test_settings_of_the_recipe_can_be_varied_but_not_its_selection(task: str) -> None:
    path = configs.path(f"clip_it_authors/{task}")
    ours = configs.variables(configs.path(f"clip_it/{task}")).keys()
    missing = ours - configs.variables(path).keys()
    without_resize = {"RESIZE_DIM", "NORMALIZE_MEAN", "NORMALIZE_STD"}
    assert missing == {"PATIENCE"} | (without_resize if task == "patch_camelyon" else set())
    assert not configs.variables(path).keys() - ours


def test_text_only_can_follow_the_authors_schedule(task: str) -> None:
    name = "clipit_eva.models.authors_text_schedule"
    config = configs.resolved(configs.path(f"text_only/{task}"), {"LR_SCHEDULER": name})
    assert RecordedConfig(config).get("model.lr_scheduler") == name
    plain = RecordedConfig(configs.resolved(configs.path(f"text_only/{task}"), {}))
    assert plain.get("model.lr_scheduler") == "torch.optim.lr_scheduler.ConstantLR"  # eva's
    assert plain.get("model.optimizer.lr") == 0.001
    assert plain.part("model.head").class_name == "TextHead"
