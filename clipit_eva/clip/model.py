"""What the project asks of an image-text model, whichever library it comes from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import torch
from PIL import Image
from torch import nn


@dataclasses.dataclass
class CLIPModel:
    """An image encoder and a text encoder that share an embedding space (CLIP)."""

    image_encoder: nn.Module
    """Preprocessed images [B, 3, H, W] -> unit-length embeddings [B, embed_dim]."""

    text_encoder: nn.Module
    """Token ids [B, L <= context_length], int64 -> unit-length embeddings [B, embed_dim]. Holds
    the text tower's parameters alone, so that it can be trained and stored without the images'."""

    tokenize: Callable[[Sequence[str]], torch.Tensor]
    """Texts -> token ids [len(texts), context_length], int64; what does not fit is cut off."""

    preprocess: Callable[[Image.Image], torch.Tensor]
    """An RGB image of any size -> the image encoder's input [3, H, W], float32. Picklable."""

    embed_dim: int
    """Width of the common embedding space."""

    context_length: int
    """Number of tokens the text encoder reads, special tokens included."""

    identity: Mapping[str, str]
    """What fixes the embeddings: model name, weights digest, preprocessing. Strings, for
    provenance and as a cache key."""
