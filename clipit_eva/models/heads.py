"""The heads of CLIP-IT on a vision backbone's embedding."""

from typing import NamedTuple

import torch
from torch import nn

from clipit_eva.errors import InputError

NEGATIVE_SLOPE = 0.1
"""Slope of the LeakyReLU in the text head (the authors' code)."""


class HeadOutputs(NamedTuple):
    """What the heads make of vision embeddings [B, d], with C classes and text width t."""

    fused: torch.Tensor
    """Logits of both branches together [B, C]: the model's prediction."""

    vision: torch.Tensor
    """Logits of the vision branch [B, C]."""

    text: torch.Tensor
    """Logits of the text-distilled branch [B, C]."""

    projected: torch.Tensor
    """Vision embeddings projected to the text space [B, t]: what text is distilled into."""


def check_width(variable: str, declared: int, found: int, what: str) -> None:
    """Raises InputError unless embeddings (`what`) have the width that a variable declares."""
    if found != declared:
        raise InputError(
            f"{variable}={declared}, but {what} have width {found}; set {variable}={found}"
        )


def check_text_width(declared: int, found: int) -> None:
    """Raises InputError unless report embeddings have the width that TEXT_FEATURES declares."""
    check_width("TEXT_FEATURES", declared, found, "the report embeddings")


class LinearHead(nn.Linear):
    """The linear probe: `nn.Linear` that says what to set if the backbone is another one."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Classifies embeddings [B, in_features] -> logits [B, out_features].

        Raises:
            InputError: The embeddings have another width.
        """
        check_width("IN_FEATURES", self.in_features, input.shape[-1], "the backbone's embeddings")
        return super().forward(input)


class TextHead(nn.Sequential):
    """Reads real report embeddings in a text-only run, projected vision embeddings in CLIP-IT."""

    def __init__(self, text_features: int, num_classes: int) -> None:
        """Initializes the head, for width t and C logits (1 for a binary task with one logit)."""
        super().__init__(
            nn.Linear(text_features, text_features),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(text_features, num_classes),
        )
        self.text_features = text_features

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Classifies text embeddings [B, t] -> logits [B, C].

        Raises:
            InputError: The embeddings have another width.
        """
        check_text_width(self.text_features, input.shape[-1])
        return super().forward(input)


class CLIPITHeads(nn.Module):
    """Vision head, projection to text, text-distilled head and fusion.

    Reference: Karimian et al., arXiv 2504.16181, section 3(b), and the authors' code for the
    layers' shapes.
    """

    def __init__(self, in_features: int, text_features: int, num_classes: int) -> None:
        """Initializes the heads with PyTorch's default initialisation.

        Args:
            in_features: Width d of the backbone's embedding.
            text_features: Width t of the text embedding.
            num_classes: Number C of logits (1 for a binary task with one logit).
        """
        super().__init__()
        self.vision = LinearHead(in_features, num_classes)
        self.projection = nn.Linear(in_features, text_features)
        self.text = TextHead(text_features, num_classes)
        self.fusion = nn.Linear(2 * num_classes, num_classes)

    def forward(self, embedding: torch.Tensor) -> HeadOutputs:
        """Applies the heads to vision embeddings [B, d], float."""
        vision = self.vision(embedding)
        projected = self.projection(embedding)
        text = self.text(projected)
        fused = self.fusion(torch.cat([vision, text], dim=-1))
        return HeadOutputs(fused, vision, text, projected)
