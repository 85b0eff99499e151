"""Texts encoded without the padding that their embeddings do not depend on."""

from typing import TypeGuard

import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.transformer import TextTransformer
from torch import nn
from torch.nn import functional

from clipit_eva.clip.conch.architecture import ConchTextTower
from clipit_eva.clip.conch.tokenizing import PAD_ID
from clipit_eva.clip.encoders import first_output
from clipit_eva.clip.hf_models import HFTower


class ShortTextEncoder(nn.Module):
    """A text encoder that reads rows as they come, for training.

    `TextEncoder` fills rows up to the context, so that an embedding has the same bits whatever
    else is encoded; here the last bits depend on the length. Weights have the same names in both.

    Attributes:
        tower: Token ids [B, context_length] -> embeddings [B, embed_dim].
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def needed_tokens(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns how many of its first tokens each row's embedding depends on [B], int64.

        Of token ids [B, context_length], int64; all of them for towers that depend on the length.
        """
        return _needed_tokens(self.tower, token_ids).clamp(1, token_ids.shape[1])

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Returns unit-length embeddings [B, embed_dim] of token ids [B, L], int64.

        L is at least the most that `needed_tokens` returned.
        """
        return functional.normalize(first_output(_run(self.tower, token_ids)), dim=-1)


def _needed_tokens(tower: nn.Module, token_ids: torch.Tensor) -> torch.Tensor:
    """Returns how many of its first tokens each row needs [B], which may be more than it has."""
    if isinstance(tower, ConchTextTower):
        # The class token also sees the first padding token; then comes its own place.
        return _last(token_ids != PAD_ID) + 3
    if isinstance(tower, HFTextEncoder):  # masks padding
        return _last(token_ids != tower.config.pad_token_id) + 1  # type: ignore[attr-defined]
    # Causal towers see nothing behind the token whose state they return.
    if isinstance(tower, HFTower):
        # Id 2 stands for the largest one in configurations of before 2023.
        eos = int(tower.model.config.eos_token_id)  # type: ignore[union-attr]
        return _pooled("argmax" if eos == 2 else "eos", token_ids, eos)
    if _is_causal(tower):
        return _pooled(tower.pool_type, token_ids, tower.eos_id)
    return torch.full(token_ids.shape[:1], token_ids.shape[1])


def _run(tower: nn.Module, token_ids: torch.Tensor) -> torch.Tensor:
    """Runs a tower on rows that may be shorter than its context."""
    if not _is_causal(tower):
        return tower(token_ids)
    length = token_ids.shape[1]
    mask = tower.get_buffer("attn_mask")[:length, :length]  # the tower itself would take all of it
    return torch.func.functional_call(tower, {"attn_mask": mask}, (token_ids,))


def _is_causal(tower: nn.Module) -> TypeGuard[TextTransformer]:
    """Whether a tower is open_clip's, without look-ahead and without a class token at the end."""
    return (
        isinstance(tower, TextTransformer)
        and tower.attn_mask is not None
        and tower.cls_emb is None
        and tower.pool_type in ("first", "argmax", "eos")
    )


def _pooled(pool_type: str, token_ids: torch.Tensor, eos: int) -> torch.Tensor:
    """Returns the number of tokens up to the one whose state is the embedding [B]."""
    if pool_type == "first":
        return torch.ones(len(token_ids), dtype=torch.int64)
    marked = token_ids if pool_type == "argmax" else (token_ids == eos).int()
    return marked.argmax(dim=1) + 1


def _last(marked: torch.Tensor) -> torch.Tensor:
    """Returns the place of the last marked token in each row [B], -1 without one."""
    places = torch.arange(marked.shape[1], device=marked.device)
    return torch.where(marked, places, -1).amax(dim=1)
