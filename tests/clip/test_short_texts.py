"""Texts without their padding, against the full context, for each kind of text tower."""

import itertools

import pytest
import torch
import transformers
from open_clip.hf_model import HFTextEncoder
from open_clip.transformer import TextTransformer
from torch import nn

from clipit_eva.clip.conch.architecture import ConchConfig, ConchTextTower
from clipit_eva.clip.conch.conch_loading import build_towers
from clipit_eva.clip.hf_models import HFTower
from clipit_eva.clip.short_texts import ShortTextEncoder
from clipit_eva.models.lora import LoRASettings, inject_lora

CONTEXT, EOS, START = 20, 59, 58
SIZES = {"width": 24, "heads": 2, "layers": 2, "output_dim": 16, "vocab_size": 60}
LENGTHS = (3, 7, 11, 3)  # of the texts, special tokens included


def open_clip_tower(**settings):
    return TextTransformer(context_length=CONTEXT, eos_id=EOS, **SIZES, **settings)


def hf_tower(eos):
    config = transformers.CLIPTextConfig(
        vocab_size=60,
        hidden_size=24,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        eos_token_id=eos,
    )
    return HFTower(transformers.CLIPTextModel(config), nn.Linear(24, 16, bias=False))


def bert_tower(pooler):
    config = transformers.BertConfig(
        vocab_size=60,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        pad_token_id=0,
    )
    return HFTextEncoder("", 16, config, pooler_type=pooler, proj_type="mlp")


def conch_tower():
    config = ConchConfig(
        embed_dim=16,
        context_length=CONTEXT,
        vocab_size=60,
        text_width=24,
        text_heads=2,
        text_layers=2,
    )
    return ConchTextTower(config)


# name: (tower, what the padding is, tokens needed by a text of the length)
SHORT = {
    "open_clip argmax": (lambda: open_clip_tower(pool_type="argmax"), 0, lambda n: n),
    "open_clip eos": (lambda: open_clip_tower(pool_type="eos", pad_id=1), 1, lambda n: n),
    "open_clip first": (lambda: open_clip_tower(pool_type="first"), 0, lambda n: 1),
    "transformers": (lambda: hf_tower(EOS), EOS, lambda n: n),
    "transformers before 2023": (lambda: hf_tower(2), EOS, lambda n: n),
    "conch": (conch_tower, 0, lambda n: n + 2),
    "bert cls": (lambda: bert_tower("cls_last_hidden_state_pooler"), 0, lambda n: n),
    "bert mean": (lambda: bert_tower("mean_pooler"), 0, lambda n: n),
}
FULL = {
    "open_clip last": lambda: open_clip_tower(pool_type="last"),
    "open_clip without causal mask": lambda: open_clip_tower(no_causal_mask=True),
    "open_clip coca": lambda: open_clip_tower(embed_cls=True),
    "unknown": lambda: nn.Embedding(60, 16),
}


def make(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = build().eval()
        for parameter in tower.parameters():  # so that positions and class tokens matter
            nn.init.normal_(parameter, std=0.3)
    return tower


def make_ids(lengths, padding):
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((len(lengths), CONTEXT), padding)
    for row, length in zip(ids, lengths, strict=True):
        row[0], row[length - 1] = START, EOS
        row[1 : length - 1] = torch.randint(3, 50, (length - 2,), generator=generator)
    return ids


def outcome(encoder, ids):
    """The embeddings, and the gradients of a function of them, in float64."""
    encoder.zero_grad()
    embeddings = encoder(ids)
    direction = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(1))
    (embeddings * direction.double()).sum().backward()
    gradients = {
        name: parameter.grad
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None
    }
    assert any(gradient.any() for gradient in gradients.values())
    return embeddings.detach(), gradients


@pytest.mark.parametrize("lora", [False, True], ids=["trained", "lora"])
@pytest.mark.parametrize("name", SHORT)
def test_needed_tokens_give_the_embeddings_and_gradients_of_the_full_context(name, lora):
    build, padding, needed = SHORT[name]
    encoder = ShortTextEncoder(make(build))
    if lora:
        inject_lora(encoder, LoRASettings(rank=2))
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.3)
    encoder.double()
    ids = make_ids(LENGTHS, padding)
    found = encoder.needed_tokens(ids)
    assert found.tolist() == [needed(length) for length in LENGTHS]
    full, full_gradients = outcome(encoder, ids)
    short, short_gradients = outcome(encoder, ids[:, : int(found.max())])
    torch.testing.assert_close(short, full, rtol=0, atol=1e-12)
    for gradient, parameter in zip(short_gradients.values(), full_gradients.values(), strict=True):
        torch.testing.assert_close(gradient, parameter, rtol=1e-9, atol=1e-12)


# CONCH's last token is the class token, which always comes, and `first` needs one.
@pytest.mark.parametrize(
    "name", [name for name in SHORT if name not in ("conch", "open_clip first")]
)
def test_one_token_less_is_too_few(name):
    build, padding, needed = SHORT[name]
    encoder = ShortTextEncoder(make(build)).double()
    ids = make_ids([9], padding)
    length = needed(9)
    with torch.no_grad():
        assert not torch.allclose(encoder(ids[:, : length - 1]), encoder(ids), atol=1e-6)


@pytest.mark.parametrize("length", [CONTEXT - 3, CONTEXT - 2, CONTEXT - 1])
def test_conch_near_its_full_context(length):
    encoder = ShortTextEncoder(make(conch_tower)).double()
    ids = make_ids([length], 0)
    needed = int(encoder.needed_tokens(ids))
    assert needed == min(length + 2, CONTEXT)
    with torch.no_grad():
        torch.testing.assert_close(encoder(ids[:, :needed]), encoder(ids), rtol=0, atol=1e-12)
        if length == CONTEXT - 3:
            assert not torch.allclose(encoder(ids[:, : needed - 1]), encoder(ids), atol=1e-6)


@pytest.mark.parametrize("name", FULL)
def test_towers_that_depend_on_the_length_get_all_of_it(name):
    encoder = ShortTextEncoder(make(FULL[name]))
    assert encoder.needed_tokens(make_ids(LENGTHS, 0)).tolist() == [CONTEXT] * len(LENGTHS)


def test_texts_that_fill_the_context_need_all_of_it():
    for build, padding, needed in SHORT.values():
        encoder = ShortTextEncoder(make(build))
        found = encoder.needed_tokens(make_ids([CONTEXT], padding))
        assert found.tolist() == [min(needed(CONTEXT), CONTEXT)]


def pytest_generate_tests(metafunc):
    if "conch_file" in metafunc.fixturenames:
        files = metafunc.config.fixture_files("conch_tiny*.safetensors")
        metafunc.parametrize("conch_file", files, ids=[file.stem for file in files])


@torch.no_grad()
def test_short_conch_texts_have_conchs_embeddings(conch_file, read_conch):
    config, tensors = read_conch(conch_file)
    prefix = "state_dict/"
    state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    encoder = ShortTextEncoder(build_towers(config, state, "fixture")[1].eval())
    ids, expected = tensors["inputs/token_ids"], tensors["expected/text_embedding_normalized"]
    needed = encoder.needed_tokens(ids)
    for rows in itertools.chain.from_iterable(
        itertools.combinations(range(len(ids)), count) for count in (1, 2)
    ):
        short = ids[list(rows), : int(needed[list(rows)].max())]
        torch.testing.assert_close(encoder(short), expected[list(rows)], rtol=0, atol=1e-5)
