"""Exports of whole runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from clipit_eva import cli
from clipit_eva.errors import InputError
from clipit_eva.export.classifier_files import load_classifier
from clipit_eva.export.command import export_run
from clipit_eva.models.lora import LoRASettings
from clipit_eva.predictions import predictions_table

from .conftest import DEMO, MakeRun, describe

RANDOM = "universal/vit_tiny_patch16_224_random"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_classes": 1},
        {"lora": LoRASettings(rank=3, alpha=9, targets=("Linear", "Conv2d"))},
        {"lora": LoRASettings(vision=False)},
        {"vision_head_lora": True},
        {"model_name": RANDOM, "size": 224},
    ],
    ids=str,
)
def test_exported_clip_it_says_what_the_run_says(
    arguments: dict[str, Any], clip_it_run: MakeRun, tmp_path: Path
) -> None:
    folder, module = clip_it_run(**arguments)
    size = arguments.get("size", 64)
    images = torch.randn(3, 3, size, size)
    for branch in ("fused", "vision"):
        exported = export_run(folder, tmp_path / f"{branch}.safetensors", branch)
        classifier, about = load_classifier(exported.file)
        with torch.inference_mode():
            expected = getattr(module.branches(images), branch)
            torch.testing.assert_close(classifier(images), expected, rtol=0, atol=1e-4)
        assert about["branch"] == branch
        assert len(about["head"]) == (3 if branch == "fused" else 1)
        assert exported.difference is not None
        assert exported.difference < 1e-5


@pytest.mark.parametrize("name", [DEMO, RANDOM])
def test_exported_unimodal_run_has_one_linear_layer(
    name: str, unimodal_run: MakeRun, tmp_path: Path
) -> None:
    size = 64 if name == DEMO else 224
    folder, model = unimodal_run(model_name=name, size=size)
    exported = export_run(folder, tmp_path / "model.safetensors")
    classifier, about = load_classifier(exported.file)
    images = torch.randn(3, 3, size, size)
    with torch.inference_mode():
        assert torch.equal(classifier(images), model(images))
    assert [layer[0] for layer in about["head"]] == ["Linear"]
    assert (about["branch"], about["criterion"]) == ("vision", "cross_entropy")


def test_a_run_on_embeddings_is_exported_with_its_backbone(
    unimodal_run: MakeRun, tmp_path: Path, images: torch.Tensor
) -> None:
    recorded = describe(
        "clipit_eva.embeddings.embedded_backbone.EmbeddedBackbone",
        model_name=DEMO,
        model_extra_kwargs=None,
        embeddings_root="./data/embeddings",
    )
    folder, model = unimodal_run(recorded=recorded)
    classifier, _ = load_classifier(export_run(folder, tmp_path / "m.safetensors").file)
    with torch.inference_mode():
        assert torch.equal(classifier(images), model(images))


def test_onnx_of_a_run(clip_it_run: MakeRun, tmp_path: Path, images: torch.Tensor) -> None:
    folder, module = clip_it_run()
    classifier, about = load_classifier(export_run(folder, tmp_path / "model.onnx").file)
    with torch.inference_mode():
        expected = module.branches(images).fused
    torch.testing.assert_close(classifier(images), expected, rtol=0, atol=1e-4)
    assert about["classes"] == ["Benign", "InSitu", "Invasive", "Normal"]


def test_file_says_what_it_needs_and_nothing_private(clip_it_run: MakeRun, tmp_path: Path) -> None:
    folder, module = clip_it_run()
    export_run(folder, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        names, text = list(file.keys()), file.metadata()["clipit_eva"]
    about = json.loads(text)
    plain = {f"backbone.{name}" for name in _plain_names(module)}
    heads = {f"head.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")}
    assert set(names) == plain | heads
    assert about["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert about["preprocessing"]["crop"] == about["preprocessing"]["resize"] == 64
    assert about["provenance"]["backbone"] == DEMO
    assert about["provenance"]["checked"] is True
    assert str(tmp_path) not in text
    assert "/private" not in text


def _plain_names(module: nn.Module) -> set[str]:
    backbone: Any = module.backbone
    names = {name.removeprefix("model.") for name in backbone.state_dict()}
    return {name.replace(".base_layer", "") for name in names if ".lora_" not in name}


def test_wrong_file_is_not_left(
    clip_it_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = clip_it_run()
    output = tmp_path / "out"
    # No input makes a right export wrong: something has to break it.
    monkeypatch.setattr("clipit_eva.export.source.merge_lora", lambda module: _drop_lora(module))
    with pytest.raises(InputError, match=r"differ by .* no file was written"):
        export_run(folder, output / "model.safetensors")
    assert list(output.iterdir()) == []
    export_run(folder, output / "model.safetensors", checked=False)
    assert len(list(output.iterdir())) == 2


def _drop_lora(module: nn.Module) -> None:
    from clipit_eva.models import lora

    for name, layer in lora.lora_layers(module).items():
        module.set_submodule(name, layer.get_base_layer())


def test_another_backbone_is_refused(clip_it_run: MakeRun, tmp_path: Path) -> None:
    """Random weights come from the run's seed: with another seed they are others."""
    folder, _ = clip_it_run(model_name=RANDOM, size=224)
    rows, provenance = predictions_table.read_predictions(folder / predictions_table.FILENAME)
    predictions_table.write_predictions(
        rows, folder / predictions_table.FILENAME, {**provenance, "seed": 8}
    )
    with pytest.raises(InputError, match="another backbone's weights"):
        export_run(folder, tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": None}, "has no vision backbone"),
        ({"backbone": describe("torch.nn.Flatten")}, "is a torch.nn.modules.flatten.Flatten"),
        (
            {"backbone": describe("eva.vision.models.ModelFromRegistry", model_name="no/such")},
            "the backbone no/such cannot be loaded",
        ),
        (
            # Weights that are neither here nor, offline, anywhere else.
            {
                "backbone": describe(
                    "eva.vision.models.ModelFromRegistry",
                    model_name="universal/vit_small_patch16_224_dino",
                )
            },
            "the backbone universal/vit_small_patch16_224_dino cannot be loaded",
        ),
        ({"backbone": describe("mine.Backbone")}, "export makes classes of"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(
    change: dict[str, Any],
    message: str,
    unimodal_run: MakeRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = unimodal_run()
    rows, provenance = predictions_table.read_predictions(folder / predictions_table.FILENAME)
    provenance["config"]["model"]["init_args"] |= change
    predictions_table.write_predictions(rows, folder / predictions_table.FILENAME, provenance)
    assert cli.main(["export", str(folder), "--output", str(tmp_path / "m.safetensors")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("m.safetensors*"))


def test_a_head_that_is_not_linear_is_refused(unimodal_run: MakeRun, tmp_path: Path) -> None:
    folder, _ = unimodal_run(head=nn.Sequential(nn.Linear(96, 8), nn.ReLU(), nn.Linear(8, 4)))
    with pytest.raises(InputError, match="has a head that is not one linear layer"):
        export_run(folder, tmp_path / "model.safetensors")


def test_command_prints_what_was_written(
    clip_it_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = clip_it_run()
    output = tmp_path / "model.safetensors"
    assert cli.main(["export", str(folder), "--output", str(output), "--branch", "vision"]) == 0
    printed = capsys.readouterr().out
    assert f"Classifier: {output} (head: Linear 96 4)" in printed
    assert f"eva config: {output}.yaml" in printed
    assert "Checked on 8 random images (the run's data is not there)" in printed


PLAIN = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("clipit_eva", "eva", "peft", "open_clip", "lightning"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
"""


def test_readme_loads_the_file_without_this_package(
    clip_it_run: MakeRun, tmp_path: Path, images: torch.Tensor
) -> None:
    """The README's own lines, where nothing but timm, torch and safetensors can be imported."""
    folder, module = clip_it_run()
    export_run(folder, tmp_path / "model.safetensors")
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (lines,) = [
        block for block in readme.split("```python\n") if "safe_open(" in block.split("```")[0]
    ]
    torch.save(images, tmp_path / "images.pt")
    script = (
        PLAIN
        + lines.split("```")[0]
        + (
            "import torch\nwith torch.inference_mode():\n"
            '    torch.save(model(torch.load("images.pt")), "logits.pt")\n'
        )
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with torch.inference_mode():
        expected = module.branches(images).fused
    found = torch.load(tmp_path / "logits.pt")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
