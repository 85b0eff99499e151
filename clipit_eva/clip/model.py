"""What the project asks of an image-text model, whichever library it comes from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from PIL import Image
from torch import nn


@dataclasses.dataclass
class CLIPModel:
    """An image encoder and a text encoder that share an embedding space (CLIP).

    Attributes:
        image_encoder: Preprocessed images [B, 3, H, W] -> unit-length embeddings [B, embed_dim].
        text_encoder: Token ids [B, L <= context_length], int64 -> unit-length embeddings
            [B, embed_dim]. Holds the text tower's parameters alone, so that it can be trained and
            stored without the images'.
        tokenize: Texts -> token ids [len(texts), context_length], int64; what does not fit is cut
            off.
        preprocess: An RGB image of any size -> the image encoder's input [3, H, W], float32.
            Picklable.
        embed_dim: Width of the common embedding space.
        context_length: Number of tokens the text encoder reads, special tokens included.
        identity: What fixes the embeddings: model name, weights digest, preprocessing. Strings,
            for provenance and as a cache key.
    """

    image_encoder: nn.Module
    text_encoder: nn.Module
    tokenize: Callable[[Sequence[str]], torch.Tensor]
    preprocess: Callable[[Image.Image], torch.Tensor]
    embed_dim: int
    context_length: int
    identity: Mapping[str, str]
