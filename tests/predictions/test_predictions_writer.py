"""The predictions callback in eva's trainer."""

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eva
import numpy as np
import pandas as pd
import pytest
import torch
from eva.core.data.datamodules import schemas
from eva.core.metrics import AverageLoss, structs
from eva.core.models.modules.utils.batch_postprocess import BatchPostProcess
from eva.vision.data.datasets import vision
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from scipy import special
from torch import nn

from clipit_eva import provenance
from clipit_eva.data import HoldOut
from clipit_eva.errors import InputError
from clipit_eva.models.clipit_module import CLIPITModule
from clipit_eva.models.lora import LoRASettings
from clipit_eva.models.trained import TrainedCLIPITModule
from clipit_eva.predictions.predictions_table import FILENAME, read_predictions, validation_path
from clipit_eva.predictions.predictions_writer import PredictionsWriter


class Points(vision.VisionDataset):
    """Points in four dimensions, of three classes."""

    def __init__(self, count: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.points = torch.randn(count, 4, generator=generator)

    @property
    def classes(self) -> list[str]:
        return ["x", "y", "z"]

    def __len__(self) -> int:
        return len(self.points)

    def filename(self, index: int) -> str:
        return f"point {index}"

    def load_data(self, index: int) -> torch.Tensor:
        return self.points[index]

    def load_target(self, index: int) -> torch.Tensor:
        return torch.tensor(index % 3)


class Patients(Points):
    """Points of two patients in turn, under a title of their own."""

    title = "My points"

    def group(self, index: int) -> str:
        return f"patient {index % 2}"


def loader(batch_size: int, **options: Any) -> eva.DataLoader:
    return eva.DataLoader(
        batch_size=batch_size,
        num_workers=0,
        pin_memory=False,
        persistent_workers=False,
        prefetch_factor=None,
        **options,
    )


def data(test: Any, options: dict[str, Any] | None = None) -> eva.DataModule:
    load = loader(4)
    return eva.DataModule(
        schemas.DatasetsSchema(train=Points(12, 1), val=Points(6, 2), test=test, predict=test),
        schemas.DataloadersSchema(
            train=load, val=load, test=loader(4, **(options or {})), predict=load
        ),
    )


def probe(**options: Any) -> eva.HeadModule:
    return eva.HeadModule(
        head={"class_path": "torch.nn.Linear", "init_args": {"in_features": 4, "out_features": 3}},
        criterion=nn.CrossEntropyLoss(),
        metrics=structs.MetricsSchema(common=[AverageLoss()]),
        **options,
    )


def clip_it() -> CLIPITModule:
    return CLIPITModule(
        nn.Sequential(nn.Linear(4, 4)),
        in_features=4,
        num_classes=3,
        text_features=5,
        distill_weight=0.0,
        lora=LoRASettings(rank=1),
        metrics=structs.MetricsSchema(common=[AverageLoss()]),
    )


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., eva.Trainer]:
    """Returns a function that makes eva's trainer with a writer."""

    def make(writer: PredictionsWriter, **options: Any) -> eva.Trainer:
        best = ModelCheckpoint(filename="best", monitor="val/AverageLoss", mode="min")
        return eva.Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=CSVLogger(str(tmp_path)),
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=100,
            default_root_dir=str(tmp_path),
            callbacks=[best, writer],
            **options,
        )

    return make


def tables(folder: Path) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    return [read_predictions(path) for path in sorted(folder.rglob("predictions.parquet"))]


def validation_tables(folder: Path) -> list[tuple[pd.DataFrame, dict[str, Any]]]:
    return [
        read_predictions(path)
        for path in sorted(folder.rglob(validation_path(Path(FILENAME)).name))
    ]


def check(table: pd.DataFrame, branch: str, dataset: Points, logits: torch.Tensor) -> None:
    """Compares a branch with the logits of the whole dataset."""
    found = table[table["branch"] == branch]
    assert found["index"].tolist() == list(range(len(dataset)))
    assert found["filename"].tolist() == [dataset.filename(n) for n in range(len(dataset))]
    assert found["target"].tolist() == [int(dataset.load_target(n)) for n in range(len(dataset))]
    expected = special.softmax(logits.double().numpy(), axis=1)
    np.testing.assert_allclose(found[["prob_0", "prob_1", "prob_2"]], expected, atol=1e-5)
    assert found["prediction"].tolist() == expected.argmax(axis=1).tolist()


def test_each_run_of_a_session_writes_its_best_predictions(
    make_trainer: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    test = Points(10)
    trainer = make_trainer(PredictionsWriter("vision"), n_runs=2)
    trainer.run_evaluation_session(probe(), data(test))
    found = tables(tmp_path)
    assert len(found) == 2
    for position, (table, made) in enumerate(found):
        (best,) = tmp_path.rglob(f"run_{position}/checkpoints/best.ckpt")
        state = torch.load(best, weights_only=True)["state_dict"]
        check(table, "vision", test, test.points @ state["head.weight"].T + state["head.bias"])
        assert table["split"].unique().tolist() == ["test"]
        assert made["checkpoint"] == hashlib.sha256(best.read_bytes()).hexdigest()
        assert made["run"] == str(best.parents[1])
        assert made["kind"] == "predictions table"
        assert made["datasets"] == [
            {"class": provenance.class_path(test), "length": 10, "classes": ["x", "y", "z"]}
        ]
        assert made["versions"] == provenance.versions()
    assert not np.array_equal(found[0][0]["prob_0"], found[1][0]["prob_0"])


def test_groups_and_title_of_a_dataset_that_knows_them(make_trainer: Any, tmp_path: Path) -> None:
    images = HoldOut(Patients(30), "hold_out", share=0.5)
    make_trainer(PredictionsWriter("vision")).run_evaluation_session(probe(), data(images))
    ((table, made),) = tables(tmp_path)
    assert table["group"].nunique() == 1  # a whole patient was held out
    assert table["group"].tolist() == [f"patient {index % 2}" for index in table["index"]]
    assert made["datasets"][0]["title"] == "My points"


def test_the_selected_checkpoints_validation_predictions_lie_beside(
    make_trainer: Any, tmp_path: Path
) -> None:
    """They are the best checkpoint's, not the last's, and of the validation samples."""
    torch.manual_seed(0)
    validation = Points(6, 2)
    trainer = make_trainer(PredictionsWriter("vision"))
    trainer.run_evaluation_session(probe(), data(Points(10)))
    ((table, made),) = validation_tables(tmp_path)
    (best,) = tmp_path.rglob("best.ckpt")
    state = torch.load(best, weights_only=True)["state_dict"]
    logits = validation.points @ state["head.weight"].T + state["head.bias"]
    check(table, "vision", validation, logits)
    assert table["split"].unique().tolist() == ["val"]
    ((_, tested),) = tables(tmp_path)
    same = ("kind", "checkpoint", "run", "seed", "config", "inputs", "versions", "git_revision")
    assert all(made[name] == tested[name] for name in same)
    assert made["datasets"] == [{**tested["datasets"][0], "length": 6}]


def test_shuffled_validation_data_leave_no_validation_predictions(
    make_trainer: Any, tmp_path: Path
) -> None:
    images = data(Points(10))
    images.dataloaders = dataclasses.replace(images.dataloaders, val=loader(4, shuffle=True))
    make_trainer(PredictionsWriter("vision")).run_evaluation_session(probe(), images)
    assert len(tables(tmp_path)) == 1
    assert validation_tables(tmp_path) == []


def test_both_branches_of_clip_it_are_written_in_test_and_predict(
    make_trainer: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    test, module = Points(10), clip_it()
    trainer = make_trainer(PredictionsWriter("fused"))
    trainer.fit(module, datamodule=data(test))
    trainer.test(module, datamodule=data(test), ckpt_path="best")
    with torch.no_grad():
        outputs = module.branches(test.points)
    ((table, _),) = tables(tmp_path)
    assert table["branch"].unique().tolist() == ["fused", "vision"]
    check(table, "fused", test, outputs.fused)
    check(table, "vision", test, outputs.vision)

    best = Path(trainer.checkpoint_callback.best_model_path)
    output = tmp_path / "new" / "predicted.parquet"
    backbone = nn.Sequential(nn.Linear(4, 4))
    backbone[0].load_state_dict(module.backbone[0].get_base_layer().state_dict())
    writer = PredictionsWriter("fused", output_file=str(output))
    make_trainer(writer).predict(TrainedCLIPITModule(backbone, str(best)), datamodule=data(test))
    table, made = read_predictions(output)
    assert table["split"].unique().tolist() == ["predict"]
    check(table, "fused", test, outputs.fused)
    check(table, "vision", test, outputs.vision)
    assert made["checkpoint"] == hashlib.sha256(best.read_bytes()).hexdigest()


def test_indices_are_those_of_evas_dataset_through_a_hold_out(
    make_trainer: Any, tmp_path: Path
) -> None:
    inner = Points(30)
    part = HoldOut(inner, "hold_out")
    make_trainer(PredictionsWriter("vision")).run_evaluation_session(probe(), data(part))
    ((table, made),) = tables(tmp_path)
    indices = [part.inner_index(position) for position in range(len(part))]
    assert indices != list(range(len(part)))
    assert table["index"].tolist() == indices
    assert table["filename"].tolist() == [f"point {index}" for index in indices]
    assert table["target"].tolist() == [index % 3 for index in indices]
    assert made["datasets"][0]["class"] == provenance.class_path(inner)


def test_several_test_sets_are_told_apart(make_trainer: Any, tmp_path: Path) -> None:
    sets = [Points(6, 3), Points(5, 4)]
    make_trainer(PredictionsWriter("vision")).run_evaluation_session(probe(), data(sets))
    ((table, made),) = tables(tmp_path)
    assert table["split"].value_counts().to_dict() == {"test": 6, "test_1": 5}
    assert [dataset["length"] for dataset in made["datasets"]] == [6, 5]


def test_postprocessing_for_metrics_does_not_touch_the_table(
    make_trainer: Any, tmp_path: Path
) -> None:
    test = Points(10)
    process = BatchPostProcess(
        targets_transforms=[lambda targets: targets],
        predictions_transforms=[lambda logits: logits * 0],
    )
    trainer = make_trainer(PredictionsWriter("vision"))
    trainer.run_evaluation_session(probe(postprocess=process), data(test))
    (best,) = tmp_path.rglob("best.ckpt")
    state = torch.load(best, weights_only=True)["state_dict"]
    ((table, _),) = tables(tmp_path)
    check(table, "vision", test, test.points @ state["head.weight"].T + state["head.bias"])


def test_shuffled_test_data_is_refused(make_trainer: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="test draws samples by RandomSampler"):
        make_trainer(PredictionsWriter("vision")).run_evaluation_session(
            probe(), data(Points(10), {"shuffle": True})
        )
    assert tables(tmp_path) == []


def test_digests_of_the_inputs_as_training_found_them(make_trainer: Any, tmp_path: Path) -> None:
    table = tmp_path / "pairs.parquet"
    table.write_bytes(b"pairs")
    inputs = {"pairing_table": str(table), "missing": str(tmp_path / "no"), "unset": None}

    class Removed(PredictionsWriter):
        def on_test_start(self, trainer: Any, pl_module: Any) -> None:
            table.unlink()
            super().on_test_start(trainer, pl_module)

    make_trainer(Removed("vision", inputs=inputs)).run_evaluation_session(probe(), data(Points(5)))
    ((_, made),) = tables(tmp_path)
    assert made["inputs"] == {"pairing_table": hashlib.sha256(b"pairs").hexdigest()}


def test_an_untrained_clip_it_writes_nothing(make_trainer: Any, tmp_path: Path) -> None:
    trainer = make_trainer(PredictionsWriter("fused"))
    trainer.predict(clip_it(), datamodule=data(Points(5)))
    assert tables(tmp_path) == []


@pytest.mark.parametrize("model", [clip_it, probe])
def test_a_model_that_will_not_be_trained_either_is_refused(
    model: Any, make_trainer: Any, tmp_path: Path
) -> None:
    """`eva predict` with the module of training, where a trained run's module is meant."""
    images = data(Points(5))
    images.datasets = dataclasses.replace(images.datasets, train=None)
    trainer = make_trainer(PredictionsWriter("fused"))
    with pytest.raises(InputError, match=r"use clipit_eva.models.TrainedCLIPITModule"):
        trainer.predict(model(), datamodule=images)
    assert tables(tmp_path) == []


class Broken(nn.Linear):
    """A head with no number for an answer where the coordinates add up to more than 0."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        logits = super().forward(points)
        return logits.masked_fill(points.sum(dim=1, keepdim=True) > 0, torch.nan)


def test_samples_without_a_number_are_missing_and_the_run_failed(
    make_trainer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    test = Points(10)
    model = probe()
    model.head = Broken(4, 3)
    trainer = make_trainer(PredictionsWriter("vision"))
    trainer.fit(model, datamodule=data(test))
    broken = int((Points(6, 2).points.sum(dim=1) > 0).sum())
    assert f"{broken} validation samples are not finite" in caplog.text
    assert np.isnan(trainer.callback_metrics["val/AverageLoss"])
    with pytest.raises(InputError, match=r"lacks .* samples, whose logits are not finite"):
        trainer.test(model, datamodule=data(test), verbose=False)
    ((table, made),) = tables(tmp_path)
    kept = np.flatnonzero((test.points.sum(dim=1) <= 0).numpy())
    assert 0 < len(kept) < 10
    assert table["index"].tolist() == kept.tolist()
    assert table["filename"].tolist() == [f"point {index}" for index in kept]
    assert table["target"].tolist() == [index % 3 for index in kept]
    assert table.notna().all(axis=None)
    assert made["not_finite"] == 10 - len(kept)


DISTRIBUTED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("writers", sys.argv[1])
writers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writers)
import eva, torch
torch.manual_seed(0)
trainer = eva.Trainer(
    accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_progress_bar=False,
    default_root_dir=sys.argv[2], callbacks=[writers.PredictionsWriter("vision")],
)
data = writers.data(writers.Points(11))
(scores,) = trainer.test(writers.probe(), datamodule=data, verbose=False)
if trainer.is_global_zero:
    print("loss", scores["test/AverageLoss"])
"""


@pytest.mark.slow
def test_two_processes_write_each_sample_once(tmp_path: Path) -> None:
    """Eleven samples are padded to twelve, and dealt out to two processes."""
    script = tmp_path / "run.py"
    script.write_text(DISTRIBUTED)
    command = [sys.executable, str(script), __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    ((table, _),) = tables(tmp_path)
    torch.manual_seed(0)
    module, test = probe(), Points(11)
    module.configure_model()
    with torch.no_grad():
        check(table, "vision", test, module(test.points))
        expected = nn.functional.cross_entropy(module(test.points), torch.arange(11) % 3)
    loss = float(done.stdout.split("loss")[-1])
    assert loss == pytest.approx(expected.item(), abs=1e-6)  # each sample once
