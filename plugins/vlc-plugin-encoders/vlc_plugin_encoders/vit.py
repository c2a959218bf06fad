"""The vision transformer.

Shapes: N images, C = 3 channels, G patches a side, P pixels a side of a patch, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, final

import torch
from pydantic import Field
from torch import Tensor, nn

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded, Exported, ImageEncoder
from vlc_core.products import Linear
from vlc_core.tokenizer import Tokenizer
from vlc_plugin_encoders.rows import Rows
from vlc_plugin_encoders.stem import ConvolutionStem
from vlc_plugin_encoders.transformer import Activation, Block, block_names, heads_for, run

Positive = Annotated[int, Field(gt=0)]


@final
class VisionTransformer(ImageEncoder):
    """Cuts an image into patches and runs a transformer over them.

    Source: Dosovitskiy et al., ICLR 2021; with ``pre_norm`` and ``quick_gelu`` it is the tower of CLIP's
        weights.
    """

    def __init__(
        self,
        *,
        size: Positive = 224,
        patch: Positive = 16,
        width: Positive = 768,
        depth: Positive = 12,
        heads: Positive | None = None,
        mlp_ratio: Annotated[float, Field(gt=0)] = 4.0,
        stem: Literal["patches", "convolutions"] = "patches",
        pool: Literal["token", "mean"] = "token",
        patch_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        activation: Activation = "gelu",
        pre_norm: bool = False,
        recompute: bool = False,
    ) -> None:
        """Builds the tower.

        Args:
            size: Side of the image in pixels; a multiple of ``patch``.
            patch: Side of a patch in pixels.
            width: Channels of a token.
            depth: Blocks.
            heads: Attention heads; by default one per 64 channels.
            mlp_ratio: Hidden width of the MLP over ``width``.
            stem: What a block sees of a patch at first: its pixels, or features of 3×3 convolutions, with which small
                models learn sooner.
            pool: ``token`` summarises in a token of its own, ``mean`` by the mean of the patches.
            patch_dropout: Share of the patches that a training step leaves out, drawn anew for each image.
            dropout: Of attention weights and of what each layer adds, in training.
            activation: Of the MLP; CLIP's own weights need ``quick_gelu``.
            pre_norm: Normalise before the first block and leave the patch layer without bias, as CLIP does.
            recompute: Keep little for the backward pass and compute it again: less memory, more time.

        Raises:
            RecipeError: ``size`` is not a multiple of ``patch``, ``heads`` do not divide ``width``, or convolutions do
                not lead to ``patch``.
        """
        super().__init__()
        if size % patch:
            raise RecipeError(
                f"An image size of {size} pixels is not a multiple of the patch size {patch}; "
                f"choose a size of {max(1, round(size / patch)) * patch} or another patch."
            )
        self.size, self.patch, self.width, self.pool = size, patch, width, pool
        self.patch_dropout, self.recompute = patch_dropout, recompute
        self.grid = size // patch
        self.leading_tokens = 1 if pool == "token" else 0
        heads = heads_for(width, heads)
        self.stem = ConvolutionStem(patch, width) if stem == "convolutions" else None
        self.patch_embed = Linear(3 * patch * patch if self.stem is None else width, width, bias=not pre_norm)
        self.summary_token = nn.Parameter(torch.empty(width)) if pool == "token" else None
        self.positions = nn.Parameter(torch.empty(self.grid**2 + (pool == "token"), width))
        self.pre_norm = nn.LayerNorm(width) if pre_norm else None
        self.blocks = nn.ModuleList(
            Block(
                width,
                heads,
                depth=depth,
                mlp_ratio=mlp_ratio,
                dropout=dropout,
                activation=activation,
                causal=False,
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def forward(self, pixels: Tensor) -> Encoded:
        """Encodes normalised ``pixels`` (N, 3, size, size); tokens are (N, L, W), the summary token first."""
        x_NLW = self._embed(pixels)
        if self.pre_norm is not None:
            x_NLW = self.pre_norm(x_NLW)
        rows = Rows(*x_NLW.shape[:2])
        whole = self.returns_tokens or self.pool == "mean"
        x_TW = x_NLW.flatten(0, 1)
        query_N = None if whole else rows.first(x_TW.device)
        x_TW = self.norm(run(self.blocks, x_TW, rows, query_N, recompute=self.recompute))
        if not whole:
            return Encoded(x_TW)
        x_NLW = rows.spread(x_TW)
        summary_NW = x_NLW.mean(dim=1) if self.pool == "mean" else x_NLW[:, 0]
        return Encoded(summary_NW, x_NLW if self.returns_tokens else None)

    def layer_names(self) -> list[list[str]]:
        """The patch layer and all that is added to it, then the blocks."""
        maybe = {"stem": self.stem, "summary_token": self.summary_token, "pre_norm": self.pre_norm}
        first = ["patch_embed", "positions", *(name for name, part in maybe.items() if part is not None)]
        return [first, *block_names(self.blocks)]

    def load_pretrained(self, path: Path) -> Mapping[str, Tensor]:
        """Loads a run's tower, this encoder's own state, or the image tower of a CLIP of the transformers library."""
        from vlc_plugin_encoders.weights import start  # it imports this module

        return start.image(self, path) if start.is_clip(path) else super().load_pretrained(path)

    def export(self, folder: Path, *, to: str, tokenizer: Tokenizer) -> Exported:
        """Writes a ViT, or the tower of a CLIP or SigLIP, of the transformers library."""
        from vlc_plugin_encoders.weights import export, to_library  # they import this module

        export.check_library(to)
        return export.export_image(self, to_library.vision(self), folder)

    def _embed(self, pixels: Tensor) -> Tensor:
        patches_NLP = patches(pixels, self.patch) if self.stem is None else self.stem(pixels)
        if patches_NLP.shape[1] != self.grid**2:
            raise RecipeError(
                f"The image encoder was built for {self.size} pixels a side, not {tuple(pixels.shape[-2:])}; "
                "cut the images to that size."
            )
        first = 1 if self.pool == "token" else 0
        x_NLW = self.patch_embed(patches_NLP) + self.positions[first:]
        x_NLW = self._drop_patches(x_NLW)
        if self.summary_token is None:
            return x_NLW
        summary_N1W = (self.summary_token + self.positions[0]).to(x_NLW.dtype).expand(x_NLW.shape[0], 1, -1)
        return torch.cat([summary_N1W, x_NLW], dim=1)

    def _drop_patches(self, x_NLW: Tensor) -> Tensor:
        """Keeps a random part of the patches in training, in their order (FLIP, CVPR 2023)."""
        if not self.training or self.patch_dropout == 0:
            return x_NLW
        number, length, width = x_NLW.shape
        keep = max(1, round(length * (1 - self.patch_dropout)))
        kept_NK = torch.rand(number, length, device=x_NLW.device).topk(keep, dim=1).indices.sort(dim=1).values
        return x_NLW.gather(1, kept_NK.unsqueeze(-1).expand(-1, -1, width))

    @torch.no_grad()
    def _initialise(self) -> None:
        nn.init.normal_(self.positions, std=self.width**-0.5)
        if self.summary_token is not None:
            nn.init.normal_(self.summary_token, std=self.width**-0.5)


def patches(pixels: Tensor, patch: int) -> Tensor:
    """Cuts (N, C, G·P, G·P) into (N, G·G, C·P·P), row by row, each patch in a convolution's order."""
    number, channels, height, width = pixels.shape
    cut = pixels.reshape(number, channels, height // patch, patch, width // patch, patch)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(number, -1, channels * patch * patch)
