"""What our import changes: in an `eva` process what it must, elsewhere nothing."""

import json
import subprocess
import sys

import pytest

from clipit_eva.eva import activation

STATE = """
import hashlib, json, logging, sys
import torch
from jsonargparse import _instantiation
from eva.vision.models import backbones
def state():
    return [
        sys.excepthook is sys.__excepthook__,
        len(_instantiation._global_class_instantiators),
        hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        len(logging.getLogger("clipit_eva").handlers),
        "clipit_eva/demo_vit" in backbones.backbone_registry.entries(),
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
