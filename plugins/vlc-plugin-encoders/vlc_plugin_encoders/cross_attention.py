"""The fusion encoder: text tokens that look at image tokens.

Li et al., ALBEF, arXiv 2107.07651, section 3.1; with the pre-norm blocks of the other encoders here.

Shapes: N pairs, L text tokens, P image tokens, T rows (see :mod:`vlc_plugin_encoders.rows`), W width, H heads, d width
of a head.
"""

from __future__ import annotations

from typing import Annotated, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, FusionEncoder
from vlc_core.products import Linear
from vlc_plugin_encoders.attention import attend
from vlc_plugin_encoders.rows import Rows, pack
from vlc_plugin_encoders.transformer import Attention, Mlp, block_names, heads_for

Positive = Annotated[int, Field(gt=0)]


@final
class CrossAttention(FusionEncoder):
    """Transformer blocks over the text's tokens, each of which also attends to the image's tokens.

    The result's summary is its first token. Text tokens see each other in both directions, also those of a causal
    text encoder.

    Attributes:
        watched: The number of the block whose attention to the image is kept in ``maps``; None for none.
        maps: (N, H, L, P) of the last forward pass, with gradient where there is one.
    """

    def __init__(
        self,
        text_width: int,
        image_width: int,
        *,
        depth: Positive = 6,
        heads: Positive | None = None,
        mlp_ratio: Annotated[float, Field(gt=0)] = 4.0,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        recompute: bool = False,
    ) -> None:
        """Builds the encoder; it is as wide as the text.

        Args:
            text_width: Of the text's tokens.
            image_width: Of the image's tokens.
            depth: Blocks.
            heads: Attention heads; by default one per 64 channels.
            mlp_ratio: Hidden width of the MLP over the width.
            dropout: Of attention weights and of what each layer adds, in training.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: ``heads`` do not divide the text's width.
        """
        super().__init__()
        self.width, self.recompute = text_width, recompute
        heads = heads_for(text_width, heads)
        self.blocks = nn.ModuleList(
            CrossBlock(text_width, image_width, heads, depth=depth, mlp_ratio=mlp_ratio, dropout=dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(text_width)
        self.watched: int | None = None
        self.maps: Tensor | None = None

    def forward(self, text: Encoded, image: Encoded) -> Encoded:
        """Fuses N texts (N, L, W) under their mask with N images (N, P, ·)."""
        if text.tokens is None or image.tokens is None:
            side = "text" if text.tokens is None else "image"
            raise RecipeError(f"The fusion encoder reads tokens, and the {side} encoder gives none: choose another.")
        rows = _rows(text.tokens, text.mask)
        x_TW = rows.collect(text.tokens)
        for index, block in enumerate(self.blocks):
            x_TW = self._run(block, x_TW, image.tokens, image.mask, rows, watched=index == self.watched)
        x_NLW = rows.spread(self.norm(x_TW))
        return Encoded(x_NLW[:, 0], x_NLW, text.mask)

    def layer_names(self) -> list[list[str]]:
        """The blocks; nothing comes before them."""
        return [[], *block_names(self.blocks)]

    def _run(
        self, block: nn.Module, x_TW: Tensor, image_NPW: Tensor, seen_NP: Tensor | None, rows: Rows, *, watched: bool
    ) -> Tensor:
        if watched:
            assert isinstance(block, CrossBlock)
            x_TW, self.maps = block.watched(x_TW, image_NPW, seen_NP, rows)
            return x_TW
        if self.recompute and torch.is_grad_enabled():
            recomputed: Tensor = checkpoint(block, x_TW, image_NPW, seen_NP, rows, use_reentrant=False)
            return recomputed
        computed: Tensor = block(x_TW, image_NPW, seen_NP, rows)
        return computed


def _rows(tokens_NLW: Tensor, mask_NL: Tensor | None) -> Rows:
    """Rows for the real tokens; the first place stands for those of an empty text, or softmax had nothing to sum."""
    number, length = tokens_NLW.shape[:2]
    if mask_NL is None:
        return Rows(number, length)
    return pack(mask_NL | (torch.arange(length, device=mask_NL.device) == 0))


class CrossBlock(nn.Module):
    """Pre-norm self-attention, attention to the image and MLP, each with a residual; initialised as in the encoders."""

    def __init__(
        self, width: int, image_width: int, heads: int, *, depth: int, mlp_ratio: float, dropout: float
    ) -> None:
        super().__init__()
        self.dropout, self.heads = dropout, heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout=dropout, causal=False)
        self.cross_norm = nn.LayerNorm(width)
        self.query = Linear(width, width)
        self.key_value = Linear(image_width, 2 * width)
        self.cross_out = Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = Mlp(width, round(width * mlp_ratio), activation="gelu")
        self._initialise(width, image_width, depth)

    def forward(self, x_TW: Tensor, image_NPW: Tensor, seen_NP: Tensor | None, rows: Rows) -> Tensor:
        """The text's tokens after this block."""
        x_TW = x_TW + self._drop(self.attention(self.attention_norm(x_TW), rows, None))
        q_NHLd, k_NHPd, v_NHPd = self._heads(x_TW, image_NPW, rows)
        seen = None if seen_NP is None else seen_NP[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        return self._rest(x_TW, attend(q_NHLd, k_NHPd, v_NHPd, seen, dropout=dropout), rows)

    def watched(self, x_TW: Tensor, image_NPW: Tensor, seen_NP: Tensor | None, rows: Rows) -> tuple[Tensor, Tensor]:
        """As :meth:`forward`, with the weights (N, H, L, P) that the image's tokens had."""
        x_TW = x_TW + self._drop(self.attention(self.attention_norm(x_TW), rows, None))
        q_NHLd, k_NHPd, v_NHPd = self._heads(x_TW, image_NPW, rows)
        logits_NHLP = q_NHLd @ k_NHPd.transpose(2, 3) * q_NHLd.shape[-1] ** -0.5
        if seen_NP is not None:
            logits_NHLP = logits_NHLP.masked_fill(~seen_NP[:, None, None, :], -torch.inf)
        maps_NHLP = logits_NHLP.softmax(dim=-1)
        return self._rest(x_TW, maps_NHLP @ v_NHPd, rows), maps_NHLP

    def _heads(self, x_TW: Tensor, image_NPW: Tensor, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        query_NLW = rows.spread(self.query(self.cross_norm(x_TW)))
        key_NPW, value_NPW = self.key_value(image_NPW).chunk(2, dim=-1)
        split = [x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (query_NLW, key_NPW, value_NPW)]
        return split[0], split[1], split[2]

    def _rest(self, x_TW: Tensor, attended_NHLd: Tensor, rows: Rows) -> Tensor:
        """What follows the attention to the image."""
        x_TW = x_TW + self._drop(self.cross_out(rows.collect(attended_NHLd.transpose(1, 2).flatten(2))))
        return x_TW + self._drop(self.mlp(self.mlp_norm(x_TW)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout > 0 else x

    @torch.no_grad()
    def _initialise(self, width: int, image_width: int, depth: int) -> None:
        residual = width**-0.5 * (3 * depth) ** -0.5
        nn.init.normal_(self.attention.qkv_weight, std=width**-0.5)
        nn.init.normal_(self.query.weight, std=width**-0.5)
        nn.init.normal_(self.key_value.weight, std=image_width**-0.5)
        nn.init.normal_(self.mlp.up.weight, std=(2 * width) ** -0.5)
        for layer in (self.attention.out, self.cross_out, self.mlp.down):
            nn.init.normal_(layer.weight, std=residual)
        for layer in (self.query, self.key_value, self.attention.out, self.cross_out, self.mlp.up, self.mlp.down):
            nn.init.zeros_(layer.bias)
