"""The eva config beside an exported file."""

from pathlib import Path

import yaml
from omegaconf import OmegaConf

from clipit_eva.export.eva_config import render_config
from clipit_eva.export.run import FinishedRun

from .conftest import describe


def test_datasets_and_metrics_are_the_runs(tmp_path: Path) -> None:
    """A binary run on embeddings, in a folder with blanks and apostrophes, data downloaded."""
    transforms = describe("eva.T", size=64)
    images = describe("eva.PCAM", root="/data/O'Neil's p cam", download=True, transforms=transforms)
    embedded = describe("clipit_eva.data.EmbeddedDataset", split="val", dataset=images)
    held_out = describe("clipit_eva.data.HoldOut", part="hold_out", dataset=embedded)
    datasets = describe("eva.DatasetsSchema", val=held_out, test=images, train=None)
    postprocess = {"predictions_transforms": ["torch._VariableFunctionsClass.sigmoid"]}
    model = describe(
        "eva.HeadModule",
        metrics=describe("eva.MetricsSchema", common=[describe("eva.metrics.AverageLoss")]),
        postprocess=describe("eva.BatchPostProcess", **postprocess),
    )
    data = describe("eva.DataModule", datasets=datasets)
    run = FinishedRun(tmp_path, tmp_path / "x.ckpt", {"config": {"model": model, "data": data}})
    about = {"branch": "vision", "classes": ["no_tumor", "tumor"]}
    text = render_config(run, about, tmp_path / "model.onnx")
    assert "eva test --config model.onnx.yaml" in text
    content = yaml.safe_load(text)
    made = content["model"]["init_args"]
    assert made["file"] == str(tmp_path / "model.onnx")
    assert made["metrics"] == {"common": [describe("eva.metrics.AverageLoss")]}
    assert made["postprocess"] == {"predictions_transforms": ["torch.sigmoid"]}
    found = content["data"]["init_args"]["datasets"]
    assert set(found) == {"predict", "val", "test"} == set(_loaders(content))
    assert found["val"]["class_path"] == "clipit_eva.data.HoldOut"
    for dataset in (found["test"], found["val"]["init_args"]["dataset"]):
        assert dataset["class_path"] == "eva.PCAM"
        resolved = OmegaConf.to_container(OmegaConf.create(dataset), resolve=True)
        assert resolved["init_args"]["root"] == "/data/O'Neil's p cam"
        assert dataset["init_args"]["download"] == "${oc.env:DOWNLOAD_DATA, false}"
        assert dataset["init_args"]["transforms"] == transforms
    assert found["predict"]["init_args"]["classes"] == ["no_tumor", "tumor"]
    assert found["predict"]["init_args"]["transforms"] == transforms


def _loaders(content: dict) -> dict:
    return content["data"]["init_args"]["dataloaders"]
