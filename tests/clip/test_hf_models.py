import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from PIL import Image

from clipit_eva.clip.loading import load_clip, load_preprocess
from clipit_eva.errors import InputError

TEXTS = ["colon mucosa", "", "mucosa " * 40]
WORDS = ["colon", "mucosa", "<|startoftext|>", "<|endoftext|>"]


def vocabulary():
    letters = sorted(set("".join(WORDS[:2])))
    return {
        token: i for i, token in enumerate([*letters, *(c + "</w>" for c in letters), *WORDS[2:]])
    }


@pytest.fixture
def plip_like(tmp_path):
    """A random model in the layout that transformers writes, PLIP's."""
    tokens = vocabulary()
    special = {"bos_token_id": tokens[WORDS[2]], "eos_token_id": tokens[WORDS[3]]}
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = transformers.CLIPConfig(
        text_config={
            **tower,
            **special,
            "vocab_size": len(tokens),
            "max_position_embeddings": 12,
        },
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    folder = tmp_path / "plip-like"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(tokens))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    preprocessing = {
        "do_resize": True,
        "size": {"shortest_edge": 32},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32},
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.25],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


def test_embeddings_are_those_of_transformers(plip_like):
    clip = load_clip(str(plip_like))
    reference = transformers.CLIPModel.from_pretrained(plip_like).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(plip_like)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    encoded = tokenizer(TEXTS, padding=True, truncation=True, max_length=12, return_tensors="pt")
    with torch.no_grad():
        expected = reference(**encoded, pixel_values=images)
        torch.testing.assert_close(clip.image_encoder(images), expected.image_embeds)
        torch.testing.assert_close(clip.text_encoder(clip.tokenize(TEXTS)), expected.text_embeds)
    assert (clip.embed_dim, clip.context_length) == (8, 12)
    assert clip.identity["model"] == "plip-like"
    encoders = (clip.image_encoder, clip.text_encoder)
    assert not any(encoder.training for encoder in encoders)
    assert not any(p.requires_grad for encoder in encoders for p in encoder.parameters())


def test_a_shorter_row_gives_the_bit_identical_embedding(plip_like):
    clip = load_clip(str(plip_like))
    tokens = clip.tokenize(["colon"])
    end = vocabulary()[WORDS[3]]
    length = tokens[0].tolist().index(end) + 1
    assert length < 12
    assert torch.equal(clip.text_encoder(tokens[:, :length]), clip.text_encoder(tokens))
    assert clip.tokenize([]).shape == (0, 12)


def test_preprocessing_is_that_of_transformers_with_pil(plip_like):
    pil = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
    reference = pil.from_pretrained(plip_like)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 45, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    expected = torch.as_tensor(np.asarray(reference(image)["pixel_values"][0]))
    actual = load_preprocess(str(plip_like))(image)
    torch.testing.assert_close(actual, expected.to(torch.float32), atol=1e-5, rtol=0)


def test_preprocessing_of_another_kind_is_refused(plip_like):
    path = plip_like / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    for change in ({"do_resize": False}, {"crop_size": 30}, {"resample": 0}):
        path.write_text(json.dumps({**settings, **change}))
        with pytest.raises(InputError, match="is not CLIP's preprocessing"):
            load_preprocess(str(plip_like))
    path.write_text(json.dumps({**settings, "size": 32, "crop_size": 32}))
    assert load_preprocess(str(plip_like))(Image.new("RGB", (40, 40))).shape == (3, 32, 32)


def test_weights_load_strictly_from_either_file_format(plip_like):
    path = plip_like / "model.safetensors"
    state = safetensors.torch.load_file(path)
    digest = load_clip(str(plip_like)).identity["weights"]
    path.unlink()
    with pytest.raises(InputError, match="none of the weight files"):
        load_clip(str(plip_like))
    old = {**state, "text_model.embeddings.position_ids": torch.arange(12)[None]}
    torch.save(old, plip_like / "pytorch_model.bin")
    assert load_clip(str(plip_like)).identity["weights"] == digest
    del old["visual_projection.weight"]
    torch.save(old, plip_like / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"lacks 'visual_projection\.weight'"):
        load_clip(str(plip_like))


def test_a_model_of_another_type_is_refused(plip_like):
    (plip_like / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="describes a 'bert' model, not 'clip'"):
        load_clip(str(plip_like))


@pytest.mark.slow
def test_a_cached_plip_loads_by_name_offline_and_without_a_token(tmp_path, plip_like):
    commit = "0" * 40
    repository = tmp_path / "home" / "hub" / "models--vinid--plip"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    plip_like.rename(repository / "snapshots" / commit)
    names = ["plip", "hf-hub:vinid/plip"]
    script = (
        "import sys; from clipit_eva.clip.loading import load_clip\n"
        "for name in sys.argv[1:]: print(load_clip(name).identity['weights'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "HF_TOKEN"}
    done = subprocess.run(
        [sys.executable, "-c", script, *names],
        env={**environment, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
    )
    by_name, by_repository = done.stdout.split()
    assert by_name == by_repository
