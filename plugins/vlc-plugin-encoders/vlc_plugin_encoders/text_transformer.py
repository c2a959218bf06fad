"""The text transformer.

Shapes: N texts, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, Exported, TextEncoder, Vocabulary
from vlc_core.places import has_values
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.rows import Rows, pack
from vlc_plugin_encoders.transformer import Activation, Block, block_names, heads_for, run

Positive = Annotated[int, Field(gt=0)]


@final
class TextTransformer(TextEncoder):
    """A transformer over token ids: CLIP's by default, BERT-like with ``causal: false`` and ``pool: first``.

    Source: Radford et al., ICML 2021, section 2.4.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        width: Positive = 512,
        depth: Positive = 12,
        heads: Positive | None = None,
        context: Annotated[int, Field(ge=3)] = 77,
        mlp_ratio: Annotated[float, Field(gt=0)] = 4.0,
        causal: bool = True,
        pool: Literal["end", "first", "mean"] = "end",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        activation: Activation = "gelu",
        recompute: bool = False,
    ) -> None:
        """Builds the tower.

        Args:
            vocabulary: Of the tokenizer.
            width: Channels of a token.
            depth: Blocks.
            heads: Attention heads; by default one per 64 channels.
            context: The longest text in tokens, start and end included.
            mlp_ratio: Hidden width of the MLP over ``width``.
            causal: Whether a token sees only those before it.
            pool: Which token summarises the text: its last, its first, or the mean of all.
            dropout: Of attention weights and of what each layer adds, in training.
            activation: Of the MLP; CLIP's own weights need ``quick_gelu``.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: ``heads`` do not divide ``width``, or a causal tower is pooled at its first token.
        """
        super().__init__()
        if causal and pool == "first":
            raise RecipeError("In a causal text encoder the first token sees no other; set pool: end or causal: false.")
        self.context, self.width, self.pool, self.recompute = context, width, pool, recompute
        self.leading_tokens = 0 if vocabulary.start is None else 1
        heads = heads_for(width, heads)
        self.token_embed = nn.Embedding(vocabulary.size, width)
        self.positions = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                depth=depth,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                activation=activation,
                causal=causal,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """Encodes ``tokens`` (N, L) under ``mask`` (N, L), without work on columns of padding."""
        length = tokens.shape[1]
        tokens_NL, mask_NL = trim(tokens, mask)
        # A text without a token would leave softmax nothing to sum over: its first place stands for it.
        seen_NL = mask_NL | (torch.arange(mask_NL.shape[1], device=mask.device) == 0)
        rows = pack(seen_NL)
        x_TW = self._embed(tokens_NL, rows)
        whole = self.returns_tokens or self.pool == "mean"
        query_N = None if whole else self._pooled(rows, tokens.device)
        x_TW = self.norm(run(self.blocks, x_TW, rows, query_N, recompute=self.recompute))
        if not whole:
            return Encoded(x_TW)
        x_NLW = rows.spread(x_TW)
        summary_NW = mean(x_NLW, seen_NL) if self.pool == "mean" else x_TW[self._pooled(rows, tokens.device)]
        if not self.returns_tokens:
            return Encoded(summary_NW)
        return Encoded(summary_NW, F.pad(x_NLW, (0, 0, 0, length - x_NLW.shape[1])), mask)

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes the text tower of a CLIP of the transformers library, with its tokenizer."""
        from vlc_plugin_encoders.weights import export, to_library  # they import this module

        export.check_library(to)
        model, end = to_library.text(self, tokenizer.vocabulary), to_library.end_id(tokenizer.vocabulary)
        return export.export_text(self, model, folder, tokenizer, pool="own", end=end)

    def layer_names(self) -> list[list[str]]:
        """The table of tokens and the positions, then the blocks."""
        return [["token_embed", "positions"], *block_names(self.blocks)]

    def load_pretrained(self, path: Path) -> Mapping[str, Tensor]:
        """Loads a run's tower, this encoder's own state, or the text tower of a CLIP of the transformers library."""
        from vlc_plugin_encoders.weights import start  # it imports this module

        return start.text(self, path) if start.is_clip(path) else super().load_pretrained(path)

    def _embed(self, tokens_NL: Tensor, rows: Rows) -> Tensor:
        if rows.places is None:
            embedded_NLW: Tensor = self.token_embed(tokens_NL) + self.positions[: rows.length]
            return embedded_NLW.flatten(0, 1)
        ids_T = tokens_NL.flatten().index_select(0, rows.places)
        embedded_TW: Tensor = self.token_embed(ids_T) + F.embedding(rows.places % rows.length, self.positions)
        return embedded_TW

    def _pooled(self, rows: Rows, device: torch.device) -> Tensor:
        return rows.first(device) if self.pool == "first" else rows.last(device)

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.normal_(self.token_embed.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)


def mean(x_NLW: Tensor, mask_NL: Tensor) -> Tensor:
    """The mean over the tokens that ``mask_NL`` shows, (N, W); zeros where it shows none."""
    weights_NL1 = mask_NL.unsqueeze(-1).to(x_NLW.dtype)
    return (x_NLW * weights_NL1).sum(dim=1) / weights_NL1.sum(dim=1).clamp(min=1)


def trim(tokens_NL: Tensor, mask_NL: Tensor) -> tuple[Tensor, Tensor]:
    """Leaves out columns that are padding in every row.

    Only on the CPU: a GPU would have to stop and tell how long the longest text is, which costs more than it saves.
    """
    if mask_NL.device.type != "cpu" or not has_values(mask_NL):
        return tokens_NL, mask_NL
    longest = max(1, int(mask_NL.sum(dim=1).max()))
    return tokens_NL[:, :longest], mask_NL[:, :longest]
