"""What our import changes: in an `eva` process what it must, elsewhere nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clipit_eva.errors import InputError
from clipit_eva.eva import activation

STATE = """
import hashlib, json, logging, sys
import torch
from jsonargparse import _instantiation
from eva.vision.models import backbones
from eva.vision.utils import io
def state():
    return [
        sys.excepthook is sys.__excepthook__,
        len(_instantiation._global_class_instantiators),
        hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        len(logging.getLogger("clipit_eva").handlers),
        "clipit_eva/demo_vit" in backbones.backbone_registry.entries(),
        io.read_image_as_tensor.__module__,
    ]
before = state()
import clipit_eva
from clipit_eva.data import HoldOut, ImageFolder, PairedDataset
from clipit_eva.embeddings import EmbeddedBackbone, EmbeddingsWriter
from clipit_eva.export import ExportedModule
from clipit_eva.models import AlignmentWriter, CLIPITModule
from clipit_eva.pairing import PairingWriter, ReportSource
from clipit_eva.predictions import PredictionsWriter
after = state()
from clipit_eva.eva import activation
activation.activate()
print(json.dumps([before, after, state()]))
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.mark.slow
def test_importing_our_classes_changes_nothing_elsewhere() -> None:
    done = python(STATE)
    assert done.returncode == 0, done.stderr
    before, after, activated = json.loads(done.stdout.splitlines()[-1])
    assert before == after
    # Each fact is one that our import could change: activation changes all but the random state.
    assert [a != b for a, b in zip(after, activated, strict=True)] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]


def test_activating_twice_registers_once() -> None:
    activation.activate()
    hook = sys.excepthook
    activation.activate()
    assert sys.excepthook is hook


def test_our_backbones_are_made_by_name() -> None:
    from eva.vision.models import ModelFromRegistry

    activation.register_backbones()
    assert ModelFromRegistry("clipit_eva/demo_vit").model.embed_dim == 96


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("a: ${oc.env:OUR_ROOT, null}\nb: logs/${oc.env:OUR_NAME, x}/c\n")
    monkeypatch.setenv("SOMEONE_S", "")
    monkeypatch.delenv("OUR_ROOT", raising=False)
    return path


@pytest.mark.parametrize("form", ["--config {}", "--config={}", "--config none.yaml --config {}"])
@pytest.mark.parametrize(("name", "value"), [("OUR_ROOT", ""), ("OUR_NAME", " ")])
def test_a_variable_set_to_nothing_is_a_mistake(
    config: Path, monkeypatch: pytest.MonkeyPatch, form: str, name: str, value: str
) -> None:
    arguments = ["fit", *form.format(config).split(), "--trainer.max_steps=3"]
    activation.check_variables(arguments)
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"{name} is set to nothing"):
        activation.check_variables(arguments)


def test_variables_are_checked_while_the_config_s_folder_is_the_working_directory(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_NAME", "")
    monkeypatch.chdir(config.parent)
    with pytest.raises(InputError, match="OUR_NAME"):
        activation.check_variables(["--config", "from/elsewhere/config.yaml"])
