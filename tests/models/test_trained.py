"""A trained run as a model that predicts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import pytest
import torch
from eva.core.metrics import AverageLoss, structs
from eva.core.trainers import functional
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.trained import TrainedCLIPITModule


@pytest.fixture
def run(
    make_module: Callable[..., CLIPITModule],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
) -> Callable[..., tuple[CLIPITModule, Path]]:
    """Returns a function that trains a run: its module with the best weights, its checkpoint."""

    def train(num_classes: int = 4, **arguments: Any) -> tuple[CLIPITModule, Path]:
        torch.manual_seed(1)
        module, trainer = make_module(num_classes, **arguments), make_trainer()
        trainer.fit(module, datamodule=make_data(num_classes))
        path = Path(trainer.checkpoint_callback.best_model_path)
        content = torch.load(path, weights_only=True)
        module.on_load_checkpoint(content)
        module.load_state_dict(content["state_dict"])
        return module.eval(), path

    return train


@pytest.mark.parametrize(
    ("num_classes", "arguments"),
    [
        (4, {}),
        (2, {}),
        (4, {"vision_head_lora": True}),
        (4, {"lora": LoRASettings(vision=False)}),
        (4, {"lora": LoRASettings(rank=3, alpha=5, targets=("fc1", "Conv2d"))}),
        (4, {"lora": LoRASettings(rank=2, text=True), "criterion": "softmax_cross_entropy"}),
    ],
)
def test_predictions_are_those_of_the_run(
    run: Any,
    vit: Callable[[], nn.Module],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
    num_classes: int,
    arguments: dict[str, Any],
) -> None:
    module, path = run(num_classes, **arguments)
    torch.manual_seed(99)
    trained = TrainedCLIPITModule(vit(), str(path))
    predicted = make_trainer().predict(trained, datamodule=make_data(num_classes))
    with torch.no_grad():
        images = make_data(num_classes).datasets.predict
        images.setup()
        expected = module.branches(images.images)
    for branch in ("fused", "vision"):
        ours = torch.cat([batch[branch] for batch in predicted])
        # Batches of 8 and 4 against 12 at once.
        torch.testing.assert_close(ours, getattr(expected, branch).squeeze(-1), rtol=0, atol=1e-5)


def test_loaded_weights_are_bit_equal(run: Any, vit: Callable[[], nn.Module]) -> None:
    module, path = run(vision_head_lora=True)
    trained = TrainedCLIPITModule(vit(), str(path.parents[1]))
    for _ in range(4):
        trained.configure_model()
    ours, theirs = trained.state_dict(), module.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert trained.checkpoint_file == path


@pytest.mark.parametrize("criterion", ["cross_entropy", "softmax_cross_entropy"])
def test_tests_with_the_runs_own_loss(
    run: Any,
    vit: Callable[[], nn.Module],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
    criterion: str,
) -> None:
    """As `eva test` and `eva validate` do it, which ask the trainer for a checkpoint."""
    module, path = run(criterion=criterion)
    metrics = structs.MetricsSchema(common=[AverageLoss()])
    trained = TrainedCLIPITModule(vit(), str(path), metrics=metrics)
    trainer = make_trainer(checkpoint_type="last")
    data = make_data()
    found = functional.run_evaluation(trainer, trained, data, stages=["validate", "test"])
    for scores, (stage, images) in zip(
        found, {"val": data.datasets.val, "test": data.datasets.test}.items(), strict=True
    ):
        with torch.no_grad():
            # eva's AverageLoss is the mean over batches.
            parts = zip(images.images.split(8), images.targets.split(8), strict=True)
            losses = [module.criterion(module(x), y) for x, y in parts]
        expected = float(torch.stack(losses).mean())
        assert scores[0][f"{stage}/AverageLoss"] == pytest.approx(expected, abs=1e-5)


def test_a_loss_can_be_given(run: Any, vit: Callable[[], nn.Module]) -> None:
    """A run whose criterion was a module names none in its checkpoint."""
    _, path = run(criterion=nn.CrossEntropyLoss(label_smoothing=0.2))
    smooth = nn.CrossEntropyLoss(label_smoothing=0.2)
    assert TrainedCLIPITModule(vit(), str(path), criterion=smooth).criterion is smooth
    plain = TrainedCLIPITModule(vit(), str(path)).criterion
    assert isinstance(plain, nn.CrossEntropyLoss)
    assert plain.label_smoothing == 0


def test_another_backbone_is_refused(run: Any, vit: Callable[[], nn.Module]) -> None:
    _, path = run()
    other = vit()
    nn.init.ones_(other.norm.bias)
    with pytest.raises(InputError, match="another backbone's weights"):
        TrainedCLIPITModule(other, str(path)).configure_model()


def test_checkpoint_is_needed(vit: Callable[[], nn.Module], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CHECKPOINT is not set"):
        TrainedCLIPITModule(vit(), None)
    with pytest.raises(InputError, match=r"CHECKPOINT=.* does not exist"):
        TrainedCLIPITModule(vit(), str(tmp_path / "missing"))


def test_a_unimodal_checkpoint_is_refused(
    vit: Callable[[], nn.Module],
    make_data: Callable[..., eva.DataModule],
    make_trainer: Callable[..., eva.Trainer],
) -> None:
    probe = eva.HeadModule(
        head=nn.Linear(32, 4),
        criterion=nn.CrossEntropyLoss(),
        backbone=vit(),
        metrics=structs.MetricsSchema(common=[AverageLoss()]),
    )
    trainer = make_trainer(max_epochs=1)
    trainer.fit(probe, datamodule=make_data(distill_weight=0.0))
    with pytest.raises(InputError, match="is not of a CLIP-IT run"):
        TrainedCLIPITModule(vit(), trainer.checkpoint_callback.best_model_path)
