"""The module in eva's own trainer, on tiny random data."""

import copy
import dataclasses
import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import numpy as np
import pytest
import torch
from eva.vision.data.datasets import vision
from lightning.pytorch import callbacks
from scipy import special
from torch import nn

from clipit_eva.data import HoldOut, PairedDataset
from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.report_features import CachedReports, EncodedReports

MakeModule = Callable[..., CLIPITModule]
MakeData = Callable[..., eva.DataModule]
MakeTrainer = Callable[..., eva.Trainer]

TEXT_LORA = LoRASettings(rank=2, text=True)


def trainable(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def logits(module: CLIPITModule, images: torch.Tensor) -> torch.Tensor:
    module.eval()
    with torch.inference_mode():
        return module(images)


def test_layers_are_built_once(fitted: Any, images: torch.Tensor) -> None:
    module, *_ = fitted()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for _ in range(4):
        module.configure_model()
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert any(tensor.any() for name, tensor in after.items() if "lora_B" in name)


def test_only_lora_and_heads_train(fitted: Any, vit: Callable[[], nn.Module]) -> None:
    module, _, watch = fitted()
    adapted = {
        n for n, _ in module.named_parameters() if n.startswith("backbone.") and "lora_" in n
    }
    heads = {name for name, _ in module.named_parameters() if name.startswith("heads.")}
    assert len(adapted) == 2 * 2 * 4  # A and B of four layers in two blocks
    assert trainable(module) == adapted | heads
    assert len(watch.optimized) == len(trainable(module))
    original = vit().state_dict()
    state = module.state_dict()
    for name, tensor in original.items():
        layer, _, kind = name.rpartition(".")
        found = state.get(f"backbone.{name}", state.get(f"backbone.{layer}.base_layer.{kind}"))
        assert torch.equal(found, tensor), name
    for name in adapted:
        if "lora_B" in name:
            assert state[name].any()


def test_frozen_backbone_without_lora(fitted: Any) -> None:
    module, *_ = fitted(lora=LoRASettings(vision=False))
    assert all(name.startswith("heads.") for name in trainable(module))
    assert not [name for name in module.state_dict() if "lora_" in name]


def test_a_second_fit_still_distils(
    make_module: MakeModule, make_data: MakeData, make_trainer: MakeTrainer
) -> None:
    kinds = []

    class Kind(callbacks.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            kinds.append(type(pl_module.reports))

    module = make_module()
    for _ in range(2):
        make_trainer(Kind(), max_epochs=1).fit(module, datamodule=make_data())
    assert kinds == [CachedReports, CachedReports]


def test_same_seed_gives_the_same_bits(fitted: Any, images: torch.Tensor) -> None:
    first = logits(fitted()[0], images)
    assert torch.equal(first, logits(fitted()[0], images))


def test_no_text_ablation_reads_no_file(fitted: Any, make_data: MakeData) -> None:
    nowhere = ReportSource("/nowhere/reports.txt", clip_model="/nowhere", cache_dir="/nowhere")
    data = make_data(distill_weight=0.0, reports=nowhere, pairing_table="/nowhere/pairs.parquet")
    module, _, watch = fitted(data, distill_weight=0.0, reports=nowhere)
    assert watch.reports is None
    assert trainable(module) >= {"heads.projection.weight", "heads.text.0.weight"}


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, CachedReports),
        ({"word_dropout": 0.3}, EncodedReports),
        ({"lora": TEXT_LORA}, EncodedReports),
    ],
    ids=["frozen text", "word dropout", "text lora"],
)
def test_text_side_follows_from_the_settings_and_is_gone_after_training(
    fitted: Any, arguments: dict[str, Any], kind: type
) -> None:
    module, _, watch = fitted(**arguments)
    gc.collect()
    assert module.reports is None
    assert watch.kind is kind
    assert watch.reports() is None


def test_cached_and_encoded_reports_train_alike(fitted: Any, images: torch.Tensor) -> None:
    """A word dropout too small to leave a word out encodes what is cached otherwise."""
    cached, encoded = fitted()[0], fitted(word_dropout=1e-9)[0]
    torch.testing.assert_close(logits(cached, images), logits(encoded, images), rtol=0, atol=1e-4)


def test_frozen_layers_stay_in_evaluation_mode_while_training(fitted: Any) -> None:
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 4, 4),
        nn.BatchNorm2d(8),
        nn.GELU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(128, 32),
    )
    original = copy.deepcopy(backbone.state_dict())
    lora = LoRASettings(rank=2, dropout=0.1, text=True)
    module, _, watch = fitted(backbone=backbone, lora=lora)
    assert len(watch.modes) == 6
    for modes in watch.modes:
        for name in ("backbone.1", "backbone.3", "reports.encoder.tower"):
            assert not modes[name]
        assert modes["heads"]
        assert modes["backbone.5.lora_dropout.default"]
        assert modes["reports.encoder.tower.transformer.resblocks.0.mlp.c_fc.lora_dropout.default"]
    for name, buffer in module.backbone[1].named_buffers():
        assert torch.equal(buffer, original[f"1.{name}"]), name
    module.eval()
    assert not any(child.training for child in module.modules())


def test_training_loss_is_criterion_plus_weighted_distillation(
    make_module: MakeModule, make_data: MakeData, source: ReportSource
) -> None:
    module = make_module(distill_weight=0.7)
    module.configure_model()
    module.log = lambda *args, **kwargs: None  # no trainer here
    module.reports = CachedReports(source.embeddings())
    data = make_data()
    data.setup("fit")
    images, targets, metadata = next(iter(data.train_dataloader()))
    loss = module.training_step([images, targets, metadata])["loss"].item()
    with torch.no_grad():
        outputs = module.branches(images)
    fused = outputs.fused.double().numpy()
    text = np.einsum(
        "bk,bkt->bt",
        metadata["report_weight"].double().numpy(),
        source.embeddings()[metadata["report_index"].numpy()].astype(float),
    )
    ours = outputs.projected.double().numpy()
    cosines = (ours * text).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(text, axis=1)
    criterion = -special.log_softmax(fused, axis=1)[np.arange(8), targets.numpy()].mean()
    assert loss == pytest.approx(criterion + 0.7 * (1 - cosines).mean(), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_binary_task_has_one_logit(
    fitted: Any, make_data: MakeData, images: torch.Tensor, dtype: torch.dtype
) -> None:
    data = make_data(2)
    for dataset in (data.datasets.train, data.datasets.val):
        inner = getattr(dataset, "wrapped", dataset)
        load = inner.load_target
        inner.load_target = lambda index, load=load: load(index).to(dtype)
    module, *_ = fitted(data, num_classes=2)
    assert logits(module, images).shape == (12,)
    batch = [images, torch.arange(12).to(dtype) % 2, {}]
    predicted = module.predict_step(batch)
    assert {name: tensor.shape for name, tensor in predicted.items()} == {
        "fused": (12,),
        "vision": (12,),
    }
    loss = module.test_step(batch)["loss"].item()
    probs = special.expit(predicted["fused"].detach().double().numpy())
    expected = -np.log(np.where(np.arange(12) % 2 == 1, probs, 1 - probs)).mean()
    assert loss == pytest.approx(expected, abs=1e-6)


def test_scheduler_and_optimizer_are_the_given_ones(make_module: MakeModule) -> None:
    module = make_module(
        lr_scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3)
    )
    module.configure_model()
    made = module.configure_optimizers()
    assert isinstance(made["lr_scheduler"], torch.optim.lr_scheduler.StepLR)
    assert isinstance(made["optimizer"], torch.optim.Adam)
    assert made["optimizer"].defaults["lr"] == 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distill_weight": -1.0}, "DISTILL_WEIGHT=-1"),
        ({"distill_weight": float("nan")}, "DISTILL_WEIGHT=nan"),
        ({"word_dropout": 1.0}, "WORD_DROPOUT=1"),
        ({"word_dropout": -0.1}, "WORD_DROPOUT=-0.1"),
        ({"in_features": 0}, "IN_FEATURES=0"),
        ({"text_features": 0}, "TEXT_FEATURES=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"criterion": "hinge"}, "CRITERION=hinge"),
    ],
)
def test_arguments_out_of_range(
    make_module: MakeModule, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_module(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_features": 31}, "set IN_FEATURES=32"),
        ({"text_features": 17}, "set TEXT_FEATURES=16"),
        ({"text_features": 17, "lora": TEXT_LORA}, "set TEXT_FEATURES=16"),
        ({"reports": None}, "REPORTS is not set"),
        ({"lora": LoRASettings(targets=("query",))}, "'query' matches no layer"),
        ({"lora": LoRASettings(rank=2, targets=("norm1",))}, "a LayerNorm"),
    ],
)
def test_what_does_not_fit_is_named_before_or_at_the_first_step(
    fitted: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fitted(**arguments)


def test_training_data_without_reports_is_named(fitted: Any, make_data: MakeData) -> None:
    with pytest.raises(InputError, match="name no report; set PAIRING_TABLE, or DISTILL_WEIGHT=0"):
        fitted(make_data(distill_weight=0.0))


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: HoldOut(data, "train")])
def test_data_of_other_reports_than_the_models_are_refused(
    fitted: Any,
    source: ReportSource,
    make_data: MakeData,
    tmp_path: Path,
    wrap: Callable[[PairedDataset], vision.VisionDataset],
) -> None:
    (tmp_path / "others.txt").write_text("other texts\n")
    others = ReportSource(str(tmp_path / "others.txt"))
    data = make_data()
    wrapped = dataclasses.replace(data.datasets, train=wrap(data.datasets.train))
    data = eva.DataModule(wrapped, data.dataloaders)
    message = "model.init_args.reports and data...train.init_args.reports differ in"
    with pytest.raises(InputError, match=re.escape(message)):
        fitted(data, reports=others)
    fitted(data, reports=source)


def test_lora_without_effect_is_named_at_the_first_step(fitted: Any) -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(768, 32), nn.Linear(768, 32)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.used(images.flatten(1))

    with pytest.raises(InputError, match="LoRA on unused has no effect on the output of Unused"):
        fitted(backbone=Unused())


def test_lora_check_changes_no_random_number(
    make_module: MakeModule, make_data: MakeData, source: ReportSource
) -> None:
    module = make_module(lora=TEXT_LORA, word_dropout=0.3)
    module.configure_model()
    module.reports = module._build_reports()
    module.train()
    data = make_data()
    data.setup("fit")
    images, _, metadata = next(iter(data.train_dataloader()))
    modes = [child.training for child in module.modules()]
    state = torch.get_rng_state()
    module._check_lora(images, metadata)
    assert torch.equal(torch.get_rng_state(), state)
    assert [child.training for child in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())


class Losses(callbacks.Callback):
    """Keeps the loss of each validation batch after the first step, and what text would add."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self.expected: list[float] = []
        self.without: list[float] = []

    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, *_: Any) -> None:
        images, targets, metadata = batch
        with torch.no_grad():
            made = pl_module.branches(images)
            text = None if pl_module.reports is None else pl_module._paired_text(metadata)
        criterion = nn.functional.cross_entropy(made.fused, targets)
        distance = 0.0
        if text is not None:
            distance = (1 - nn.functional.cosine_similarity(made.projected, text)).mean()
        self.found.append(float(outputs["loss"]))
        self.without.append(float(criterion))
        self.expected.append(float(criterion + 0.7 * distance))


def paired_validation(data: eva.DataModule, source: ReportSource, table: Path) -> eva.DataModule:
    """Returns data whose validation part is the training part, paired too."""
    inner = copy.deepcopy(data.datasets.train.wrapped)
    val = PairedDataset(inner, "train", source, str(table), top_k=2)
    return eva.DataModule(dataclasses.replace(data.datasets, val=val), data.dataloaders)


@pytest.mark.parametrize("lora", [LoRASettings(rank=2), TEXT_LORA], ids=["frozen", "text lora"])
def test_validation_loss_has_the_distillation_term_if_asked(
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    source: ReportSource,
    pairing_table: Path,
    lora: LoRASettings,
) -> None:
    module = make_module(distill_weight=0.7, lora=lora, validation_distillation=True)
    trainer = make_trainer(Losses(), max_epochs=1)
    trainer.fit(module, datamodule=paired_validation(make_data(), source, pairing_table))
    (seen,) = (one for one in trainer.callbacks if isinstance(one, Losses))
    assert seen.found == pytest.approx(seen.expected, abs=1e-5)
    assert min(a - b for a, b in zip(seen.found, seen.without, strict=True)) > 0.05
    last = sum(seen.found[-3:]) / 3
    assert float(trainer.callback_metrics["val/AverageLoss"]) == pytest.approx(last, abs=1e-5)


def test_nothing_after_training_reads_text(
    make_module: MakeModule,
    make_data: MakeData,
    make_trainer: MakeTrainer,
    source: ReportSource,
    pairing_table: Path,
) -> None:
    module = make_module(validation_distillation=True)
    data = paired_validation(make_data(), source, pairing_table)
    trainer = make_trainer(Losses(), max_epochs=1)
    trainer.fit(module, datamodule=data)
    (seen,) = (one for one in trainer.callbacks if isinstance(one, Losses))
    seen.found, seen.without = [], []
    trainer.validate(module, datamodule=data)
    assert seen.found == pytest.approx(seen.without, abs=1e-6)


def test_validation_that_is_to_read_text_has_to_name_it(fitted: Any) -> None:
    with pytest.raises(InputError, match="name no report"):
        fitted(validation_distillation=True)


def test_without_text_validation_has_no_term(fitted: Any) -> None:
    fitted(distill_weight=0.0, validation_distillation=True)
