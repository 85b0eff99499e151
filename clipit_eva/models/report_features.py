"""The text side of training: report rows in, embeddings out."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from clipit_eva.embeddings.report_source import ReportSource
from clipit_eva.errors import InputError
from clipit_eva.models.heads import check_text_width
from clipit_eva.models.lora import LoRASettings, inject_lora
from clipit_eva.models.report_tokens import Chunks, CountNeeded, ReportTokens, Tokenize


class CachedReports(nn.Module):
    """Embeddings of reports, computed once before training (frozen text encoder)."""

    embeddings: torch.Tensor

    def __init__(self, embeddings: np.ndarray) -> None:
        """Takes one row a report [N, t], float32."""
        super().__init__()
        # A copy: the array may be a read-only memory map.
        self.register_buffer("embeddings", torch.tensor(embeddings), persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [..., t] of report rows [...], int64."""
        return self.embeddings[rows]


class EncodedReports(nn.Module):
    """Embeddings of reports, encoded anew at each step (text LoRA or word dropout).

    Each distinct report of a batch is encoded once, without padding that does not matter; gradients
    of the samples that share it add up. Reading rows on the CPU waits for no GPU.
    """

    _anchor: torch.Tensor

    def __init__(
        self,
        encoder: nn.Module,
        texts: Sequence[str | Sequence[str]],
        tokenize: Tokenize,
        word_dropout: float = 0.0,
        count_needed: CountNeeded | None = None,
    ) -> None:
        """Initializes the module.

        Args:
            encoder: Token ids [B, L], int64 -> embeddings [B, t].
            texts: The reports, or each report's chunks, whose mean direction counts; row i of a
                batch's rows means `texts[i]`.
            tokenize: Texts -> token ids [len(texts), L], int64; each text once, unless words are
                left out.
            word_dropout: Share of a report's words left out at each reading, in [0, 1).
            count_needed: How many of its first tokens each row of token ids needs; `None` if the
                encoder reads all of them.
        """
        super().__init__()
        self.encoder = encoder
        self._chunks = Chunks(texts)
        self._tokens = ReportTokens(self._chunks.texts, tokenize, count_needed)
        self._word_dropout = word_dropout
        # Says where the module is: an encoder need not have parameters.
        self.register_buffer("_anchor", torch.empty(0), persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [..., t] of report rows [...], int64, best on the CPU."""
        distinct, positions = rows.cpu().unique(return_inverse=True)
        places, owners = self._chunks.of(distinct)
        embeddings = self.encoder(self._send(self._read(places)))
        if len(places) > len(distinct):
            sums = embeddings.new_zeros(len(distinct), embeddings.shape[1])
            sums = sums.index_add(0, self._send(owners), embeddings)
            embeddings = functional.normalize(sums, dim=-1)
        return embeddings[self._send(positions)]

    def _read(self, places: torch.Tensor) -> torch.Tensor:
        """Returns the token ids of texts, with words left out while training."""
        if not (self.training and self._word_dropout):
            return self._tokens.read(places)
        return self._tokens.read_changed(places, lambda text: drop_words(text, self._word_dropout))

    def _send(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copies a tensor of the CPU to the module's device, without waiting for it."""
        if self._anchor.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self._anchor.device, non_blocking=True)


def build_reports(
    source: ReportSource | None,
    text_features: int,
    lora: LoRASettings,
    vision_targets: Sequence[str] = (),
    word_dropout: float = 0.0,
) -> CachedReports | EncodedReports:
    """Builds the text side of training.

    Args:
        source: The reports and the text encoder.
        text_features: The width that the report embeddings should have.
        lora: Whether and how LoRA adapts the text encoder.
        vision_targets: LoRA's targets that the vision backbone has, so that the text encoder need
            not have them.
        word_dropout: Share of a report's words left out at each reading, in [0, 1).

    Returns:
        Embeddings that are computed once, or the encoder if they change in training.

    Raises:
        InputError: There are no reports, or they have embeddings of another width.
    """
    if source is None:
        raise InputError("REPORTS is not set; give a reports file, or DISTILL_WEIGHT=0")
    if not (lora.text or word_dropout):
        embeddings = source.embeddings()
        check_text_width(text_features, embeddings.shape[1])
        return CachedReports(embeddings)
    from clipit_eva.clip.short_texts import ShortTextEncoder

    clip = source.load_clip()
    check_text_width(text_features, clip.embed_dim)
    encoder = ShortTextEncoder(clip.text_encoder.get_submodule("tower"))
    encoder.requires_grad_(False)
    if lora.text:
        inject_lora(encoder, lora, vision_targets)
    texts = source.chunks(clip).row_texts
    return EncodedReports(encoder, texts, clip.tokenize, word_dropout, encoder.needed_tokens)


def drop_words(text: str, share: float) -> str:
    """Leaves out words at random (arXiv 2504.16181, section 4c: 30% of the words).

    A share in [0, 1) of the words, which white space separates; rounded to whole words, at least
    one stays. Drawn from torch's global generator. Those that stay are joined by one space.
    """
    words = text.split()
    stay = max(1, len(words) - round(share * len(words)))
    kept = torch.randperm(len(words))[:stay].sort().values
    return " ".join(words[index] for index in kept.tolist())
