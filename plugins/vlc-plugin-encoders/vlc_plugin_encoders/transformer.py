"""The transformer block that the image and the text encoder share.

Shapes: N items, L tokens, T rows (see :mod:`vlc_plugin_encoders.rows`), W width, H heads, d width of a head,
Q queries of an item (L of them, or only the pooled one).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vlc_core.errors import RecipeError
from vlc_core.products import Linear, linear
from vlc_plugin_encoders.attention import attend
from vlc_plugin_encoders.rows import Rows

Activation = Literal["gelu", "quick_gelu"]


def heads_for(width: int, heads: int | None) -> int:
    """The number of heads: ``heads``, or by default one per 64 channels (per 32 in narrow models).

    Raises:
        RecipeError: The heads do not divide the width.
    """
    if heads is None:
        heads = max(1, width // (64 if width >= 192 else 32))
        while width % heads:
            heads -= 1
    if width % heads:
        raise RecipeError(f"A width of {width} is not divisible by {heads} heads; choose heads that divide it.")
    return heads


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection of queries, keys and values.

    The projection's weights are parameters of this very module, not of a child: under ZeRO-3 a parameter may
    be read only in the forward pass of its own module, and a pooled query needs a part of it.
    """

    def __init__(self, width: int, heads: int, *, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.causal = causal
        self.qkv_weight = nn.Parameter(torch.empty(3 * width, width))
        self.qkv_bias = nn.Parameter(torch.zeros(3 * width))
        self.out = Linear(width, width)

    def forward(self, x_TW: Tensor, rows: Rows, query_NW: Tensor | None) -> Tensor:
        """Attends from every token, or from one per item, ``query_NW``, to all tokens: (T, W) or (N, W)."""
        q_NHQd, k_NHLd, v_NHLd = self._project(x_TW, rows, query_NW)
        causal = self.causal and query_NW is None
        # Padding comes last, so that no real token of a causal tower ever sees it.
        mask = None if rows.mask is None or causal else rows.mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        attended_NHQd = attend(q_NHQd, k_NHLd, v_NHLd, mask, causal=causal, dropout=dropout)
        attended_NQW = attended_NHQd.transpose(1, 2).flatten(2)
        attended = rows.collect(attended_NQW) if query_NW is None else attended_NQW.squeeze(1)
        out: Tensor = self.out(attended)
        return out

    def _project(self, x_TW: Tensor, rows: Rows, query_NW: Tensor | None) -> tuple[Tensor, ...]:
        if query_NW is None:
            return self._heads(rows.spread(linear(x_TW, self.qkv_weight, self.qkv_bias)), 3)
        width = x_TW.shape[-1]
        query = linear(query_NW, self.qkv_weight[:width], self.qkv_bias[:width])
        both = linear(x_TW, self.qkv_weight[width:], self.qkv_bias[width:])
        return *self._heads(query.unsqueeze(1), 1), *self._heads(rows.spread(both), 2)

    def _heads(self, x_NLC: Tensor, parts: int) -> tuple[Tensor, ...]:
        number, length, channels = x_NLC.shape
        split = x_NLC.view(number, length, parts, self.heads, channels // (parts * self.heads))
        return tuple(part.transpose(1, 2) for part in split.unbind(2))


class Mlp(nn.Module):
    """Two linear layers with an activation between; ``quick_gelu`` is x·sigmoid(1.702 x)."""

    def __init__(self, width: int, hidden: int, *, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.up = Linear(width, hidden)
        self.down = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (…, W) to (…, W)."""
        hidden = self.up(x)
        hidden = F.gelu(hidden) if self.activation == "gelu" else hidden * torch.sigmoid(1.702 * hidden)
        out: Tensor = self.down(hidden)
        return out


class Block(nn.Module):
    """Pre-norm attention and MLP, each with a residual, initialised as CLIP's are.

    Standard deviations in a tower of ``depth`` blocks: W^-1/2 for queries, keys and values, (2W)^-1/2 for the
    way up, and W^-1/2 (2 depth)^-1/2 for the two layers that write into the residual stream, so that its
    variance does not grow with depth; biases zero. Source: Radford et al., ICML 2021, and the released model;
    the last is GPT-2's.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        depth: int,
        mlp_ratio: float,
        dropout: float,
        activation: Activation,
        causal: bool,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout=dropout, causal=causal)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = Mlp(width, round(width * mlp_ratio), activation=activation)
        self._initialise(width, depth)

    def forward(self, x_TW: Tensor, rows: Rows, query_N: Tensor | None = None) -> Tensor:
        """The tokens after this block.

        Args:
            x_TW: All tokens.
            rows: Which row belongs where.
            query_N: One row per item, (N,) int64, if only these are read afterwards; the result is then (N,
                W).
        """
        normed_TW = self.attention_norm(x_TW)
        query_NW = None
        if query_N is not None:
            query_NW, x_TW = normed_TW.index_select(0, query_N), x_TW.index_select(0, query_N)
        x_TW = x_TW + self._drop(self.attention(normed_TW, rows, query_NW))
        return x_TW + self._drop(self.mlp(self.mlp_norm(x_TW)))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout > 0 else x

    def _initialise(self, width: int, depth: int) -> None:
        residual = width**-0.5 * (2 * depth) ** -0.5
        nn.init.normal_(self.attention.qkv_weight, std=width**-0.5)
        nn.init.normal_(self.attention.out.weight, std=residual)
        nn.init.normal_(self.mlp.up.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(self.mlp.down.weight, std=residual)
        for layer in (self.attention.out, self.mlp.up, self.mlp.down):
            nn.init.zeros_(layer.bias)


def block_names(blocks: nn.ModuleList) -> list[list[str]]:
    """A group of each block, for ``Encoder.layer_names``."""
    return [[f"blocks.{number}"] for number in range(len(blocks))]


def run(blocks: nn.ModuleList, x_TW: Tensor, rows: Rows, query_N: Tensor | None, *, recompute: bool) -> Tensor:
    """The tokens after all ``blocks``; the last one computes ``query_N`` alone, if given.

    With ``recompute`` a block keeps only its input for the backward pass and runs a second time there, dropout
    repeated: less memory for a third more time (Chen et al., 2016).
    """
    for number, block in enumerate(blocks, start=1):
        arguments = (x_TW, rows, query_N if number == len(blocks) else None)
        if recompute and torch.is_grad_enabled():
            x_TW = checkpoint(block, *arguments, use_reentrant=False)
        else:
            x_TW = block(*arguments)
    return x_TW
