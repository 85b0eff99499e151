"""CONCH from its released checkpoint."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from open_clip import transform
from PIL import Image
from torch import nn

from clipit_eva.clip import weights
from clipit_eva.clip.conch.architecture import ConchConfig, ConchImageTower, ConchTextTower
from clipit_eva.clip.conch.tokenizing import ConchTokenize, find_tokenizer
from clipit_eva.clip.encoders import assemble, check_vocabulary, evaluation_transform
from clipit_eva.clip.model import CLIPModel
from clipit_eva.clip.registry import NamedModel

REPOSITORY = "MahmoodLab/conch"
"""The gated repository of the released weights."""


def load_conch(checkpoint: str | None, tokenizer: str | None) -> CLIPModel:
    """Loads CONCH, as `clip.loading.load_clip` does.

    `None` stands for the weights of the gated repository, and for the tokenizer of the installed
    `conch` package.

    Raises:
        InputError: The weights or the tokenizer cannot be had, or are not CONCH's.
    """
    config = ConchConfig()
    tokenize = ConchTokenize(find_tokenizer(tokenizer), config.context_length)
    check_vocabulary(tokenizer, tokenize.vocab_size, "conch", config.vocab_size)
    path = weights.find_weights(REPOSITORY, ["pytorch_model.bin"], checkpoint)
    towers = build_towers(config, weights.read_state_dict(path), f"checkpoint {path}")
    return assemble(
        "conch",
        towers,
        tokenize,
        conch_preprocess(checkpoint),
        architecture=weights.digest_json(dataclasses.asdict(config)),
        embed_dim=config.embed_dim,
    )


def conch_preprocess(checkpoint: str | None) -> Callable[[Image.Image], torch.Tensor]:
    """Returns CONCH's preprocessing: 448 pixels, bicubic, centre crop, OpenAI's statistics.

    All of its checkpoints share it.
    """
    return evaluation_transform(transform.PreprocessCfg(size=ConchConfig().image_size))


def build_towers(
    config: ConchConfig, state: Mapping[str, torch.Tensor], source: str
) -> tuple[ConchImageTower, ConchTextTower]:
    """Builds both towers, float32, frozen, filled with weights; see `weights.load_strictly`.

    The released checkpoint has no caption decoder; one that is there is passed over by its name.
    """
    with torch.random.fork_rng(devices=[]):  # initial weights that are overwritten below
        visual, text = ConchImageTower(config), ConchTextTower(config)
    towers = nn.ModuleDict({"visual": visual, "text": text})
    weights.load_strictly(towers, state, source, decoder=True)
    return visual, text


CONCH = NamedModel(load=load_conch, preprocess=conch_preprocess)
"""What the registry knows as "conch"."""
