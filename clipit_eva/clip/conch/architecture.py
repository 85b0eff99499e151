"""CONCH's two towers (Lu et al., Nature Medicine 2024, doi:10.1038/s41591-024-02856-4).

CONCH is a CoCa model (Yu et al., arXiv 2205.01917) with a ViT image tower. Module names follow its
checkpoint. The caption decoder is not needed for embeddings and is left out.
"""

import dataclasses
from typing import cast

import torch
from open_clip.transformer import AttentionalPooler, LayerNorm, TextTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional

from clipit_eva.clip.conch.tokenizing import PAD_ID


@dataclasses.dataclass(frozen=True)
class ConchConfig:
    """Sizes of a CONCH model; the defaults are those of the released one (ViT-B/16)."""

    embed_dim: int = 512
    embed_dim_caption: int = 768
    image_size: int = 448
    patch_size: int = 16
    vision_width: int = 768
    vision_layers: int = 12
    vision_heads: int = 12
    pooler_heads: int = 8
    contrast_queries: int = 1
    caption_queries: int = 256
    context_length: int = 128
    vocab_size: int = 32007
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12


class ConchImageTower(nn.Module):
    """ViT trunk, one attentional pooler for contrast and one for captions, and a projection."""

    def __init__(self, config: ConchConfig) -> None:
        super().__init__()
        self.trunk = VisionTransformer(
            img_size=config.image_size,
            patch_size=config.patch_size,
            embed_dim=config.vision_width,
            depth=config.vision_layers,
            num_heads=config.vision_heads,
            num_classes=0,
            global_pool="",
        )
        width, heads = config.vision_width, config.pooler_heads
        self.attn_pool_contrast = AttentionalPooler(
            config.embed_dim, width, n_head=heads, n_queries=config.contrast_queries
        )
        self.ln_contrast = LayerNorm(config.embed_dim)
        self.proj_contrast = nn.Parameter(torch.empty(config.embed_dim, config.embed_dim))
        # The caption branch embeds nothing; it is here so that checkpoints load strictly.
        self.attn_pool_caption = AttentionalPooler(
            config.embed_dim_caption, width, n_head=heads, n_queries=config.caption_queries
        )
        self.ln_caption = LayerNorm(config.embed_dim_caption)

    def pool(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings before the projection [B, embed_dim] of [B, 3, H, W] images."""
        tokens = self.trunk.forward_features(images)
        return self.ln_contrast(self.attn_pool_contrast(tokens)[:, 0])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [B, embed_dim], not normalised, of [B, 3, H, W] images."""
        return self.pool(images) @ self.proj_contrast


class ConchTextTower(TextTransformer):
    """Causal transformer whose last place is taken by a learned class token.

    Token ids come with that place filled by padding. The class token does not attend to padding,
    but CoCa shifts its mask by one place: it sees the first padding token, and itself only when
    the text fills the context. The weights were trained so.
    """

    def __init__(self, config: ConchConfig) -> None:
        super().__init__(
            context_length=config.context_length - 1,
            vocab_size=config.vocab_size,
            width=config.text_width,
            heads=config.text_heads,
            layers=config.text_layers,
            output_dim=config.embed_dim,
            embed_cls=True,
        )

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """Returns the embeddings [B, embed_dim], not normalised, of token ids.

        Args:
            text: [B, L <= context_length]; with fewer than `context_length`, each row must have
                padding before the class token's place, as it would have in full length.
        """
        words = text[:, :-1]
        class_token = cast(torch.Tensor, self.cls_emb).expand(len(words), 1, -1)
        x = torch.cat([self.token_embedding(words), class_token], dim=1)
        # The class token's position is the last one, wherever it comes.
        positions = self.positional_embedding
        positions = torch.cat([positions[: words.shape[1]], positions[-1:]])
        x = self.transformer(x + positions, attn_mask=self._mask(words))
        return self.ln_final(x[:, -1]) @ self.text_projection

    def _mask(self, words: torch.Tensor) -> torch.Tensor:
        """Returns the additive attention mask [B * heads, L, L] of words [B, L - 1]."""
        seen = functional.pad(words != PAD_ID, (1, 0), value=True)
        length = seen.shape[1]
        mask = cast(torch.Tensor, self.attn_mask)[:length, :length].repeat(len(words), 1, 1)
        mask[:, -1] = mask[:, -1].masked_fill(~seen, float("-inf"))
        return mask.repeat_interleave(self.heads, dim=0)
