import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipit_eva.clip import registry
from clipit_eva.clip.loading import load_clip
from clipit_eva.errors import InputError

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "tiny-clip-plugin"
version = "0.1"
[tool.setuptools]
py-modules = ["tiny_clip_plugin"]
[project.entry-points."clipit_eva.clip_models"]
tiny-histology-clip = "tiny_clip_plugin:MODEL"
not-a-model = "tiny_clip_plugin:FOLDER"
absent-module = "tiny_clip_absent:MODEL"
plip = "tiny_clip_plugin:MODEL"
"""

MODULE = """
from clipit_eva.clip import loading
from clipit_eva.clip.registry import NamedModel
FOLDER = {folder!r}
MODEL = NamedModel(
    load=lambda checkpoint, tokenizer: loading.load_clip(FOLDER, checkpoint, tokenizer),
    preprocess=lambda checkpoint: loading.load_preprocess(FOLDER, checkpoint),
)
"""

USE = """
import json, sys
from clipit_eva.clip import loading, registry
from clipit_eva.errors import InputError
answers = {"names": registry.list_models(), "imported": "tiny_clip_plugin" in sys.modules}
for name in sys.argv[1:]:
    try:
        answers[name] = loading.load_clip(name).embed_dim
        answers["preprocess"] = repr(loading.load_preprocess(name))
    except InputError as error:
        answers[name] = str(error)
print(json.dumps(answers))
"""


@pytest.fixture
def plugin(tmp_path, tiny_folder):
    """A really installed package that registers a model."""
    if not all(importlib.util.find_spec(tool) for tool in ("pip", "setuptools")):
        pytest.skip("needs pip and setuptools to build a package without a network")
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "tiny_clip_plugin.py").write_text(MODULE.format(folder=str(tiny_folder)))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return site


def use(site, *names):
    done = subprocess.run(
        [sys.executable, "-c", USE, *names],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_another_package_registers_a_model_by_entry_point(plugin):
    names = ["tiny-histology-clip", "tiny-histolgy-clip", "not-a-model", "absent-module", "plip"]
    answers = use(plugin, *names)
    assert answers["names"]["tiny-histology-clip"] == "tiny-clip-plugin"
    assert answers["names"]["conch"] == "clipit_eva"
    assert not answers["imported"]
    assert answers["tiny-histology-clip"] == 16
    assert "Resize(size=32" in answers["preprocess"]
    assert "did you mean tiny-histology-clip" in answers["tiny-histolgy-clip"]
    assert "is a str; its entry point must be" in answers["not-a-model"]
    assert "of package tiny-clip-plugin cannot be imported" in answers["absent-module"]
    assert "registered by clipit_eva and tiny-clip-plugin; uninstall one" in answers["plip"]


def test_own_models_are_listed_and_found():
    assert {"conch", "plip"} <= set(registry.list_models())
    assert isinstance(registry.find_model("conch"), registry.NamedModel)
    assert isinstance(registry.find_model("plip"), registry.NamedModel)
    assert registry.find_model("absent") is None


@pytest.mark.parametrize(("name", "near"), [("cnch", "conch"), ("PLIPP", "plip")])
def test_a_misspelt_name_is_answered_with_the_near_one(name, near):
    with pytest.raises(InputError, match=f"did you mean {near}"):
        load_clip(name)


def test_conch_is_found_by_its_repository_too():
    with pytest.raises(InputError, match=r"set CLIP_TOKENIZER|MahmoodLab/conch is not in"):
        load_clip("hf-hub:MahmoodLab/CONCH")
