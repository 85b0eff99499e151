"""The bundled weights: small, loadable without network, and better than chance on new cohorts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from eva.vision.models.networks.backbones import backbone_registry
from PIL import Image
from scipy import stats

from clipit_eva.clip.loading import load_clip
from clipit_eva.demo import demo_backbone
from clipit_eva.demo.cohort import Cohort, make_cohort
from clipit_eva.demo.truth import agreement
from clipit_eva.eva import activation
from clipit_eva.files import sha256_file
from clipit_eva.pairing.replacement import replace_pairs
from clipit_eva.tasks import synthetic

WEIGHTS = demo_backbone.WEIGHTS.parent
CLIP = f"local-dir:{WEIGHTS / 'clip'}"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("cohort"), seed=41)


@pytest.fixture(scope="module")
def pairs(cohort: Cohort) -> pd.DataFrame:
    """The pairing table of the whole cohort by plain cosine similarity, text cut to the context."""
    clip = load_clip(str(WEIGHTS / "clip"))
    photos = cohort.bach / "ICIAR2018_BACH_Challenge" / "Photos"
    files = sorted(photos.rglob("*.tif"))
    reports = pd.read_parquet(cohort.reports)
    with torch.inference_mode():
        images = torch.stack([clip.preprocess(Image.open(file)) for file in files])
        texts = clip.tokenize(reports["text"].tolist())
        cosine = clip.image_encoder(images) @ clip.text_encoder(texts).T
    best = cosine.argmax(1).numpy()
    return pd.DataFrame(
        {
            "split": "all",
            "index": np.arange(len(files)),
            "filename": [str(file.relative_to(photos)) for file in files],
            "rank": 0,
            "report_id": reports["report_id"].to_numpy()[best],
        }
    )


def test_all_weights_together_are_under_5_mb() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 5_000_000


def test_the_record_names_the_bundled_files() -> None:
    record = json.loads((WEIGHTS / "made.json").read_text())
    files = list(WEIGHTS.rglob("*.safetensors"))
    digests = {path.relative_to(WEIGHTS).as_posix(): sha256_file(path) for path in files}
    assert record["sha256"] == digests


@pytest.mark.slow
def test_everything_loads_without_network_from_any_folder(tmp_path: Path) -> None:
    code = f"""
import socket, sys
def refuse(*_): raise OSError("network used")
socket.socket.connect = refuse
import open_clip
from clipit_eva.demo.demo_backbone import demo_vit
model, preprocess = open_clip.create_model_from_pretrained({CLIP!r})
tokens = open_clip.get_tokenizer({CLIP!r})(["Nuclei are 1arge.", "x " * 300])
assert tokens.shape == (2, 128), tokens.shape
assert model.encode_text(tokens).shape == (2, 64)
demo_vit()
"""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


def test_the_text_ends_where_open_clip_pools() -> None:
    """open_clip reads the text's embedding at the highest id; it must be the last real token."""
    tokens = open_clip.get_tokenizer(CLIP)(["Nuclei are 1arge.", "x " * 300])
    lengths = (tokens != 0).sum(1)
    assert tokens.argmax(1).tolist() == (lengths - 1).tolist()
    assert lengths[1] == tokens.shape[1]


def test_eva_knows_the_backbone() -> None:
    activation.register_backbones()
    model = backbone_registry.get(synthetic.NAME)()
    model.eval()
    with torch.inference_mode():
        features = model(torch.rand(2, 3, demo_backbone.IMAGE_SIZE, demo_backbone.IMAGE_SIZE))
    assert features.shape == (2, demo_backbone.FEATURES)
    linear = {name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    assert {"blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.0.mlp.fc1"} <= linear


def test_retrieval_is_far_above_chance_on_a_new_cohort(pairs: pd.DataFrame, cohort: Cohort) -> None:
    """Twice chance: 200 or more of 400 at p = 1/4 have a probability below 1e-25."""
    assert stats.binom.sf(199, 400, 0.25) < 1e-25
    assert agreement(pairs, cohort.truth) > 0.5


def test_replacing_all_pairs_brings_retrieval_to_chance(
    pairs: pd.DataFrame, cohort: Cohort
) -> None:
    """Uniform reports agree independently with p = 1/4; half a share lies half way."""
    ids = list(pd.read_parquet(cohort.reports)["report_id"])
    low, high = stats.binom.interval(0.999, 400, 0.25)
    noise = agreement(replace_pairs(pairs, 1, ids, seed=1), cohort.truth)
    assert low <= 400 * noise <= high
    half = agreement(replace_pairs(pairs, 0.5, ids, seed=1), cohort.truth)
    assert noise < half < agreement(pairs, cohort.truth)
