"""The text side of training: report rows in, embeddings out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn


class CachedReports(nn.Module):
    """Embeddings of reports, computed once before training (frozen text encoder)."""

    embeddings: torch.Tensor

    def __init__(self, embeddings: np.ndarray) -> None:
        """Initializes the module.

        Args:
            embeddings: One row a report [N, t], float32.
        """
        super().__init__()
        # A copy: the array may be a read-only memory map.
        self.register_buffer("embeddings", torch.tensor(embeddings), persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [..., t] of report rows [...], int64."""
        return self.embeddings[rows]


class EncodedReports(nn.Module):
    """Embeddings of reports, encoded anew at each step (text LoRA or word dropout).

    Each distinct report of a batch is read and encoded once; gradients of the samples that share
    it add up.
    """

    def __init__(
        self,
        encoder: nn.Module,
        texts: Sequence[str],
        tokenize: Callable[[Sequence[str]], torch.Tensor],
        word_dropout: float = 0.0,
    ) -> None:
        """Initializes the module.

        Args:
            encoder: Token ids [B, L], int64 -> embeddings [B, t].
            texts: The reports; row i of a batch's rows means `texts[i]`.
            tokenize: Texts -> token ids [len(texts), L], int64.
            word_dropout: Share of a report's words left out at each reading, in [0, 1).
        """
        super().__init__()
        self.encoder = encoder
        self._texts = texts
        self._tokenize = tokenize
        self._word_dropout = word_dropout

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [..., t] of report rows [...], int64."""
        distinct, positions = rows.unique(return_inverse=True)
        texts = [self._read(row) for row in distinct.tolist()]
        return self.encoder(self._tokenize(texts).to(rows.device))[positions]

    def _read(self, row: int) -> str:
        """Returns a report, with words left out while training."""
        text = self._texts[row]
        if not (self.training and self._word_dropout):
            return text
        return drop_words(text, self._word_dropout)


def drop_words(text: str, share: float) -> str:
    """Leaves out words at random (arXiv 2504.16181, section 4c: 30% of the words).

    Args:
        text: Words separated by white space.
        share: Share of the words left out, in [0, 1); rounded to whole words, at least one stays.

    Returns:
        The words that stay, in order, joined by one space. Drawn from torch's global generator.
    """
    words = text.split()
    stay = max(1, len(words) - round(share * len(words)))
    kept = torch.randperm(len(words))[:stay].sort().values
    return " ".join(words[index] for index in kept.tolist())
