import json
import os
import subprocess
import sys

import pytest
import tokenizers
import torch
from PIL import Image

from clipit_eva.clip.conch.architecture import ConchConfig, ConchImageTower, ConchTextTower
from clipit_eva.clip.conch.conch_loading import build_towers, conch_preprocess, load_conch
from clipit_eva.clip.conch.tokenizing import TOKENIZER_FILE, ConchTokenize, find_tokenizer
from clipit_eva.errors import InputError

SMALL = ConchConfig(
    embed_dim=16,
    embed_dim_caption=16,
    image_size=32,
    vision_width=16,
    vision_layers=1,
    vision_heads=2,
    caption_queries=3,
    context_length=9,
    vocab_size=20,
    text_width=16,
    text_layers=1,
    text_heads=2,
)


@pytest.fixture
def state():
    towers = torch.nn.ModuleDict({"visual": ConchImageTower(SMALL), "text": ConchTextTower(SMALL)})
    return {**towers.state_dict(), "logit_scale": torch.tensor(1.0)}


@pytest.fixture
def tokenizer_file(tmp_path):
    """A tokenizer file of the same form as CONCH's: one token a word, and the special ones."""
    words = ["<pad>", "<start_of_text>", "<end_of_text>", "<unk>", "colon", "mucosa"]
    model = tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>",
        special_tokens=[("<start_of_text>", 1), ("<end_of_text>", 2)],
    )
    path = tmp_path / TOKENIZER_FILE
    tokenizer.save(str(path))
    return path


def test_the_text_is_cut_to_leave_room_for_the_class_token(tokenizer_file):
    tokenize = ConchTokenize(tokenizer_file, 6)
    assert tokenize(["colon", "colon " * 9, ""]).tolist() == [
        [1, 4, 2, 0, 0, 0],
        [1, 4, 4, 4, 2, 0],
        [1, 2, 0, 0, 0, 0],
    ]
    assert tokenize([]).shape == (0, 6)


def test_all_weights_must_be_there_and_no_others(state):
    build_towers(SMALL, state, "file")
    build_towers(SMALL, {**state, "text_decoder.ln_final.weight": torch.ones(3)}, "file")
    for name in set(state) - {"logit_scale"}:
        without = {key: value for key, value in state.items() if key != name}
        with pytest.raises(InputError, match=f"file does not fit .* lacks '{name}'"):
            build_towers(SMALL, without, "file")
    with pytest.raises(InputError, match=r"has unknown 'visual\.extra'"):
        build_towers(SMALL, {**state, "visual.extra": torch.ones(1)}, "file")
    with pytest.raises(InputError, match="has shape"):
        build_towers(SMALL, {**state, "text.cls_emb": torch.ones(3)}, "file")


def test_a_checkpoint_of_another_model_is_refused(state, tokenizer_file, tmp_path):
    torch.save(state, tmp_path / "small.bin")
    with pytest.raises(InputError, match=r"small\.bin does not fit the model's architecture"):
        load_conch(str(tmp_path / "small.bin"), str(tokenizer_file))


def test_weights_that_are_not_cached_say_how_to_get_them(tokenizer_file):
    with pytest.raises(InputError, match="MahmoodLab/conch is not in the local"):
        load_conch(None, str(tokenizer_file))


def test_tokenizer_files_that_are_none_are_refused(tmp_path, tokenizer_file):
    with pytest.raises(InputError, match="check CLIP_TOKENIZER"):
        find_tokenizer(str(tmp_path / "absent.json"))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="is not a tokenizer file"):
        ConchTokenize(tmp_path / "other.json", 128)
    content = json.loads(tokenizer_file.read_text())
    content["model"]["vocab"]["<pad>"] = 19
    tokenizer_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is not CONCH's tokenizer"):
        ConchTokenize(tokenizer_file, 128)


FIND = """
from clipit_eva.clip.conch.tokenizing import find_tokenizer
from clipit_eva.errors import InputError
try:
    print(find_tokenizer(None))
except InputError as error:
    print("InputError", error)
"""


def find_in_process(path):
    done = subprocess.run(
        [sys.executable, "-c", FIND],
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_installed_packages_tokenizer_is_found_without_an_import(tmp_path, tokenizer_file):
    package = tmp_path / "site" / "conch"
    folder = package / "open_clip_custom" / "tokenizers"
    folder.mkdir(parents=True)
    for part in (package, package / "open_clip_custom"):
        (part / "__init__.py").write_text("raise ImportError('does not import on transformers 5')")
    found = tokenizer_file.rename(folder / TOKENIZER_FILE)
    assert find_in_process(tmp_path / "site") == str(found)
    found.unlink()
    missing = find_in_process(tmp_path / "site")
    assert missing.startswith("InputError CONCH needs its tokenizer file: set CLIP_TOKENIZER")
    assert "\n" not in missing


def test_preprocessing_is_448_pixels_of_the_centre():
    image = Image.new("RGB", (896, 448))
    image.paste((255, 255, 255), (224, 0, 672, 448))
    white = conch_preprocess(None)(image)
    assert white.shape == (3, 448, 448)
    mean, std = (
        torch.tensor([0.48145466, 0.4578275, 0.40821073]),
        torch.tensor([0.26862954, 0.26130258, 0.27577711]),
    )
    torch.testing.assert_close(white[:, 5, 5], (1 - mean) / std)


@pytest.mark.slow
def test_a_checkpoint_of_the_released_sizes_loads(tmp_path, tokenizer_file):
    towers = torch.nn.ModuleDict(
        {"visual": ConchImageTower(ConchConfig()), "text": ConchTextTower(ConchConfig())}
    )
    path = tmp_path / "pytorch_model.bin"
    torch.save({**towers.state_dict(), "logit_scale": torch.tensor(1.0)}, path)
    clip = load_conch(str(path), str(tokenizer_file))
    assert (clip.embed_dim, clip.context_length) == (512, 128)
    with torch.no_grad():
        image = clip.image_encoder(clip.preprocess(Image.new("RGB", (96, 96)))[None])
        text = clip.text_encoder(clip.tokenize(["colon mucosa"]))
    assert image.shape == text.shape == (1, 512)
    torch.testing.assert_close(text.norm(dim=-1), torch.ones(1))
    assert not any(encoder.training for encoder in (clip.image_encoder, clip.text_encoder))
