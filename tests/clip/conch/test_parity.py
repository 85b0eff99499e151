"""CONCH against known answers of its published implementation.

More files of the same forms come by `--fixtures DIR`: `conch_tiny*.safetensors`, and the tokenizer
file beside `conch_tokenization.json`, which is under CONCH's licence and so not committed here.
"""

import json
from pathlib import Path

import pytest
import torch

from clipit_eva.clip.conch.architecture import ConchConfig
from clipit_eva.clip.conch.conch_loading import build_towers
from clipit_eva.clip.conch.tokenizing import PAD_ID, TOKENIZER_FILE, ConchTokenize
from clipit_eva.clip.encoders import ImageEncoder, TextEncoder

TOLERANCE = 1e-5
SHARED = Path(__file__).parents[4] / "shared"


def pytest_generate_tests(metafunc):
    if "numbers" in metafunc.fixturenames:
        files = metafunc.config.fixture_files("conch_tiny*.safetensors")
        metafunc.parametrize("numbers", files, ids=[file.stem for file in files], indirect=True)


@pytest.fixture
def numbers(request, read_conch):
    """The tensors of a file, and its towers."""
    config, tensors = read_conch(request.param)
    prefix = "state_dict/"
    state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    visual, text = build_towers(config, state, request.param.name)
    return tensors, config, visual.eval(), text.eval()


def agree(actual, expected):
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_image_embeddings_are_conchs(numbers):
    tensors, _, visual, _ = numbers
    images = tensors["inputs/images"]
    agree(visual.pool(images), tensors["expected/image_embedding_unprojected"])
    agree(ImageEncoder(visual)(images), tensors["expected/image_embedding_normalized_projected"])


@torch.no_grad()
def test_text_embeddings_are_conchs(numbers):
    tensors, config, _, text = numbers
    token_ids = tensors["inputs/token_ids"]
    encoder = TextEncoder(text, config.context_length, PAD_ID)
    agree(text(token_ids), tensors["expected/text_embedding"])
    agree(encoder(token_ids), tensors["expected/text_embedding_normalized"])
    for row in token_ids:
        alone = encoder(row[None])
        length = int((row != PAD_ID).sum())
        assert torch.equal(encoder(row[None, :length]), alone)


def find(config, name):
    """A file that is not committed, from `--fixtures DIR` or the folder beside the repository."""
    folders = [config.given_fixtures, SHARED]
    found = [path for folder in folders if folder for path in sorted(folder.rglob(name))]
    if not found:
        pytest.skip(f"{name} is not in the folder given by --fixtures nor in ../shared")
    return found[0]


def test_token_ids_are_conchs(request):
    answers = json.loads(find(request.config, "conch_tokenization.json").read_text())
    tokenize = ConchTokenize(find(request.config, TOKENIZER_FILE), 128)
    expected = torch.tensor(answers["token_ids"])
    assert torch.equal(tokenize(answers["texts"]), expected)
    assert tokenize.vocab_size <= ConchConfig().vocab_size
    # Whatever the other texts are, also beside an empty and a short one:
    mixed = tokenize(["", *answers["texts"][:2], "colon"])
    assert torch.equal(mixed[1:3], expected[:2])
    assert mixed.shape == (4, 128)
