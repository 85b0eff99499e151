"""The two encoders of an image-text model as plain modules, and a model put together of them."""

from collections.abc import Callable
from typing import Any

import torch
from open_clip import transform
from PIL import Image
from torch import nn
from torch.nn import functional

from clipit_eva.clip import weights
from clipit_eva.clip.model import CLIPModel
from clipit_eva.errors import InputError


class ImageEncoder(nn.Module):
    """An image tower with unit-length output.

    Attributes:
        tower: Preprocessed images [B, 3, H, W] -> embeddings [B, embed_dim], possibly with
            further outputs behind them (open_clip's `output_tokens`).
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns unit-length embeddings [B, embed_dim] of preprocessed images [B, 3, H, W]."""
        return functional.normalize(first_output(self.tower(images)), dim=-1)


class TextEncoder(nn.Module):
    """A text tower with unit-length output.

    Shorter rows are filled up with the padding id: towers that pool the last position (SigLIP) or
    append a class token (CoCa) depend on the length, and so a row gives bit-identical embeddings
    however far it was padded before.

    Attributes:
        tower: Token ids [B, context_length] -> embeddings [B, embed_dim], possibly with further
            outputs behind them.
        context_length: Number of tokens the tower reads.
        pad_id: The tokenizer's padding id.
    """

    def __init__(self, tower: nn.Module, context_length: int, pad_id: int) -> None:
        super().__init__()
        self.tower = tower
        self.context_length = context_length
        self.pad_id = pad_id

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns unit-length embeddings [B, embed_dim] of token ids [B, L <= context_length].

        Raises:
            ValueError: There are more tokens than the context holds.
        """
        missing = self.context_length - token_ids.shape[1]
        if missing < 0:
            raise ValueError(
                f"{token_ids.shape[1]} tokens do not fit a context of {self.context_length}"
            )
        padded = functional.pad(token_ids, (0, missing), value=self.pad_id)
        return functional.normalize(first_output(self.tower(padded)), dim=-1)


def first_output(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Returns the embeddings of a tower that may return tokens beside them."""
    return output if isinstance(output, torch.Tensor) else output[0]


def assemble(
    name: str,
    towers: tuple[nn.Module, nn.Module],
    tokenize: Any,
    preprocess: Callable[[Image.Image], torch.Tensor],
    *,
    architecture: str,
    embed_dim: int,
) -> CLIPModel:
    """Puts a model together, `architecture` being a digest of its configuration.

    `tokenize` tells `context_length`, `pad_id` and what fixes its token ids (`describe`).
    """
    visual, text = towers
    return CLIPModel(
        image_encoder=ImageEncoder(visual).eval(),
        text_encoder=TextEncoder(text, tokenize.context_length, tokenize.pad_id).eval(),
        tokenize=tokenize,
        preprocess=preprocess,
        embed_dim=embed_dim,
        context_length=tokenize.context_length,
        identity={
            "model": name,
            "architecture": architecture,
            "weights": weights.digest_weights(visual, text),
            "preprocessing": " ".join(repr(preprocess).split()),
            "tokenizer": tokenize.describe(),
        },
    )


def check_vocabulary(tokenizer: object, size: int, model: str, known: int) -> None:
    """Raises InputError if a tokenizer has more tokens than a text tower knows."""
    if size > known:
        raise InputError(
            f"tokenizer {tokenizer} has {size} tokens, but CLIP model {model} knows {known}; "
            "give the one it was trained with"
        )


def evaluation_transform(settings: transform.PreprocessCfg) -> Any:
    """Returns open_clip's evaluation preprocessing: an RGB image -> [3, H, W], float32."""
    return transform.image_transform_v2(settings, is_train=False)
