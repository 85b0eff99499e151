"""The text side of training: report rows in, embeddings out."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional


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
        texts: Sequence[str | Sequence[str]],
        tokenize: Callable[[Sequence[str]], torch.Tensor],
        word_dropout: float = 0.0,
    ) -> None:
        """Initializes the module.

        Args:
            encoder: Token ids [B, L], int64 -> embeddings [B, t].
            texts: The reports, or each report's windows, whose mean direction counts; row i of a
                batch's rows means `texts[i]`.
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
        windows = [self._windows(row) for row in distinct.tolist()]
        texts = [self._read(text) for report in windows for text in report]
        embeddings = self.encoder(self._tokenize(texts).to(rows.device))
        if len(texts) > len(windows):
            owner = torch.tensor([n for n, report in enumerate(windows) for _ in report])
            sums = embeddings.new_zeros(len(windows), embeddings.shape[1])
            sums = sums.index_add(0, owner.to(rows.device), embeddings)
            embeddings = functional.normalize(sums, dim=-1)
        return embeddings[positions]

    def _windows(self, row: int) -> Sequence[str]:
        """Returns the texts of a row."""
        texts = self._texts[row]
        return [texts] if isinstance(texts, str) else texts

    def _read(self, text: str) -> str:
        """Returns a text, with words left out while training."""
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
