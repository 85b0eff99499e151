"""The alignment table of real training runs on tiny random data."""

import dataclasses
from itertools import combinations
from pathlib import Path
from typing import Any

import eva
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn

from clipit_eva.data.wrapper import eva_dataset
from clipit_eva.errors import InputError
from clipit_eva.models import alignment
from clipit_eva.models.alignment import AlignmentWriter
from clipit_eva.models.alignment_table import read_alignment
from clipit_eva.models.lora import LoRASettings
from clipit_eva.pairing.pairing_table import read_pairs


@pytest.fixture
def train(make_module, make_data, make_trainer, tmp_path):
    """Trains a module with or without the writer: the module, its trainer and its data."""

    def run(*callbacks: Callback, checkpoint_type: str = "best", folder: str = "logs", **arguments):
        torch.manual_seed(1)
        module, data = make_module(**arguments), make_data()
        shuffled = dataclasses.replace(data.dataloaders.train, shuffle=True)
        data.dataloaders = dataclasses.replace(data.dataloaders, train=shuffled)
        # Selects the first epoch, so that the selected weights are not the last.
        first = ModelCheckpoint(filename="best", monitor="val/AverageLoss", mode="max")
        options = {"max_epochs": 3, "checkpoint_type": checkpoint_type}
        options["callbacks"] = [first, *callbacks]
        trainer = make_trainer(default_root_dir=tmp_path / folder, **options)
        trainer.fit(module, datamodule=data)
        return module, trainer, data

    return run


def table_of(trainer: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    return read_alignment(Path(trainer.log_dir) / "alignment.parquet")


@pytest.fixture
def closeness(source, pairing_table):
    """Computes cosine and distance of all training samples with NumPy, from files and weights."""

    def compute(module, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        module.eval()
        with torch.no_grad():
            projected = module.heads.projection(module.backbone(images)).double().numpy()
        pairs, _ = read_pairs(pairing_table)
        ids, embeddings = list(source.corpus().ids), source.embeddings().astype(float)
        text = []
        for _, mine in pairs.groupby("index"):
            weights = np.exp(mine["similarity"].astype(float) / 0.07)
            rows = embeddings[[ids.index(name) for name in mine["report_id"]]]
            text.append((weights.to_numpy()[:, None] * rows).sum(axis=0) / weights.sum())
        text = np.array(text)
        norms = np.linalg.norm(projected, axis=1) * np.linalg.norm(text, axis=1)
        return (projected * text).sum(axis=1) / norms, np.linalg.norm(projected - text, axis=1)

    return compute


class Before(Callback):
    """Keeps a copy of the weights before the first step."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.state = {name: value.clone() for name, value in pl_module.state_dict().items()}


def test_the_table_holds_what_the_weights_give_before_and_selected(train, closeness) -> None:
    before = Before()
    module, trainer, data = train(before, AlignmentWriter())
    rows, facts = table_of(trainer)
    images = eva_dataset(data.datasets.train).images
    assert rows["index"].tolist() == list(range(24))
    assert rows["filename"].tolist() == [f"{index:03d}.png" for index in range(24)]
    assert facts["after"] == "best"
    best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)["state_dict"]
    last = module.state_dict()
    assert not all(torch.equal(best[name], last[name]) for name in best)
    for moment, state in (("before", before.state), ("after", best)):
        module.load_state_dict(state, strict=False)
        cosine, distance = closeness(module, images)
        np.testing.assert_allclose(rows[f"cosine_{moment}"], cosine, atol=1e-5)
        np.testing.assert_allclose(rows[f"distance_{moment}"], distance, rtol=1e-5)
    assert rows["cosine_after"].mean() > rows["cosine_before"].mean()


def test_a_run_that_keeps_the_last_weights_is_measured_with_them(train, closeness) -> None:
    module, trainer, data = train(AlignmentWriter(), checkpoint_type="last")
    rows, facts = table_of(trainer)
    cosine, _ = closeness(module, eva_dataset(data.datasets.train).images)
    np.testing.assert_allclose(rows["cosine_after"], cosine, atol=1e-5)
    assert facts["after"] == "last"


@pytest.mark.parametrize(
    "arguments",
    [
        {"lora": LoRASettings(rank=2, dropout=0.5)},
        {"lora": LoRASettings(rank=2, dropout=0.5, text=True), "word_dropout": 0.3},
    ],
    ids=["frozen text", "text lora"],
)
def test_training_is_the_same_to_the_last_bit(train, arguments: dict[str, Any]) -> None:
    states, modes = [], []

    class Modes(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            modes.append({name: part.training for name, part in pl_module.named_modules()})

    for place, writers in enumerate(([], [AlignmentWriter()])):
        module, trainer, _ = train(*writers, Modes(), folder=f"logs{place}", **arguments)
        best = torch.load(trainer.checkpoint_callback.best_model_path, weights_only=True)
        states.append((module.state_dict(), best["state_dict"], torch.get_rng_state()))
        assert (Path(trainer.log_dir) / "alignment.parquet").exists() == bool(writers)
    for one, other in zip(states[0][:2], states[1][:2], strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(states[0][2], states[1][2])
    half = len(modes) // 2
    assert modes[:half] == modes[half:]


def test_text_that_is_trained_is_measured_as_selected(train) -> None:
    kept = []

    class AtTheEnd(Callback):
        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            rows = torch.arange(6).unsqueeze(1)
            pl_module.eval()
            with torch.no_grad():
                kept.append(pl_module.reports(rows).squeeze(1).numpy())

    text = LoRASettings(rank=2, text=True)
    module, trainer, data = train(AtTheEnd(), AlignmentWriter(), checkpoint_type="last", lora=text)
    rows, facts = table_of(trainer)
    train_set = data.datasets.train
    means = []
    with torch.no_grad():
        projected = module.heads.projection(module.eval().backbone(eva_dataset(train_set).images))
    for index, row in rows.iterrows():
        metadata = train_set.load_metadata(index)
        mean = metadata["report_weight"].numpy() @ kept[0][metadata["report_index"].numpy()]
        distance = np.linalg.norm(projected[index].numpy() - mean)
        assert row["distance_after"] == pytest.approx(distance, rel=1e-4)
        means.append(mean)
    pairs = combinations(means, 2)
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    assert facts["text_cosine_after"] == pytest.approx(np.mean(cosines), abs=1e-5)
    assert facts["text_cosine_after"] != facts["text_cosine_before"]


def test_without_text_there_is_no_table(make_module, make_data, make_trainer) -> None:
    trainer = make_trainer(AlignmentWriter(), max_epochs=1)
    trainer.fit(make_module(distill_weight=0.0), datamodule=make_data(distill_weight=0.0))
    assert not (Path(trainer.log_dir) / "alignment.parquet").exists()


def test_batches_without_reports_are_refused(make_module, make_data, make_trainer) -> None:
    data = make_data()
    data.datasets = dataclasses.replace(data.datasets, train=data.datasets.val)
    with pytest.raises(InputError, match="name no report; set PAIRING_TABLE, or DISTILL_WEIGHT=0"):
        make_trainer(AlignmentWriter(), max_epochs=1).fit(make_module(), datamodule=data)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_half_precision_is_measured_too(
    make_module, make_data, make_trainer, closeness, precision: str
) -> None:
    torch.manual_seed(1)
    module, data, before = make_module(), make_data(), Before()
    trainer = make_trainer(before, AlignmentWriter(), max_epochs=1, precision=precision)
    trainer.fit(module, datamodule=data)
    rows, _ = table_of(trainer)
    module.float().load_state_dict(before.state)
    cosine, _ = closeness(module, eva_dataset(data.datasets.train).images)
    np.testing.assert_allclose(rows["cosine_before"], cosine, atol=0.02)


def test_another_module_is_refused(make_data, make_trainer) -> None:
    head = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 768, "out_features": 4}}
    module = eva.HeadModule(head=head, criterion=nn.CrossEntropyLoss(), backbone=nn.Flatten())
    with pytest.raises(InputError, match="AlignmentWriter measures CLIPITModule, not HeadModule"):
        make_trainer(AlignmentWriter(), max_epochs=1).fit(module, datamodule=make_data())


def test_at_most_512_samples_are_measured_evenly_spread() -> None:
    assert alignment._positions(3) == [0, 1, 2]
    assert alignment._positions(512) == list(range(512))
    many = alignment._positions(100_000)
    assert (len(many), many[0], many[-1]) == (512, 0, 99_999)
    assert set(np.diff(many)) <= {195, 196}
