"""Files of exported classifiers."""

import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import onnx
import pytest
import timm
import torch
from safetensors import safe_open
from torch import nn

from clipit_eva.errors import InputError
from clipit_eva.export import classifier_files
from clipit_eva.export.fused_heads import build_head

ABOUT: dict[str, Any] = {
    "backbone": {
        "model_name": "vit_tiny_patch16_224",
        "num_classes": 0,
        "depth": 1,
        "img_size": 32,
        "dynamic_img_size": True,
    },
    "head": [["Linear", 192, 7], ["LeakyReLU", 0.1], ["Linear", 7, 3]],
    "preprocessing": {"crop": [48, 64]},
    "classes": ["a", "b", "ç"],
}


@pytest.fixture(scope="module")
def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    parts = {"backbone": timm.create_model(**ABOUT["backbone"]), "head": build_head(ABOUT["head"])}
    model = nn.Sequential(OrderedDict(parts)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_written_file_says_the_same(classifier: nn.Sequential, tmp_path: Path, suffix: str) -> None:
    """Also at another image size than the backbone's own, and for any batch size."""
    path = tmp_path / f"model{suffix}"
    classifier_files.write_classifier(classifier, ABOUT, path)
    loaded, about = classifier_files.load_classifier(path)
    assert about == ABOUT
    assert not loaded.training
    for count in (1, 2, 5):
        images = torch.randn(count, 3, 48, 64)
        with torch.inference_mode():
            torch.testing.assert_close(loaded(images), classifier(images), rtol=0, atol=1e-5)


def test_onnx_is_one_valid_file(classifier: nn.Sequential, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    classifier_files.write_classifier(classifier, ABOUT, path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(path), full_check=True)
    (shape,) = [value.type.tensor_type.shape.dim for value in onnx.load(path).graph.input]
    assert shape[0].dim_param
    assert [size.dim_value for size in shape[1:]] == [3, 48, 64]


def test_safetensors_holds_metadata_as_json(classifier: nn.Sequential, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    classifier_files.write_classifier(classifier, ABOUT, path)
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["clipit_eva"]) == ABOUT
        assert set(file.keys()) == set(classifier.state_dict())


def test_a_classifier_too_large_for_onnx_is_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        large = nn.Sequential(nn.Linear(2**15, 2**15))
    with pytest.raises(InputError, match=r"4.0 GiB, and a .onnx file holds 2; .* .safetensors"):
        classifier_files.write_classifier(large, ABOUT, tmp_path / "model.onnx")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
@pytest.mark.parametrize("damage", ["short", "other", "missing"])
def test_damaged_files_are_named(
    classifier: nn.Sequential, tmp_path: Path, suffix: str, damage: str
) -> None:
    path = tmp_path / f"model{suffix}"
    if damage == "short":
        classifier_files.write_classifier(classifier, ABOUT, path)
        path.write_bytes(path.read_bytes()[:-1000])
    if damage == "other":
        path.write_bytes(b"something else")
    with pytest.raises(InputError, match=rf"model\{suffix} (is not a whole|does not exist)"):
        classifier_files.load_classifier(path)


def test_suffix_decides(tmp_path: Path) -> None:
    classifier_files.check_format(tmp_path / "model.safetensors")
    classifier_files.check_format(tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"model.pt must end in .safetensors or .onnx"):
        classifier_files.check_format(tmp_path / "model.pt")


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # Python's way to say "not there"
    classifier_files.check_format(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"needs the package onnxscript; pip install 'clipit-eva"):
        classifier_files.check_format(tmp_path / "model.onnx")
