"""A tower is an encoder and the projection of its summary to the shared space; a model has two of them.

Shapes: N items, W encoder width, D embedding width, L tokens, P parts: patches or words.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vlc_core.interfaces.encoder import Encoded, Encoder, FusionEncoder, ImageEncoder, TextEncoder
from vlc_core.model.heads import projection
from vlc_core.model.temperature import Temperature


class Features(NamedTuple):
    """What a tower gives.

    Attributes:
        embed: (N, D) float32 or better, rows of length one.
        summary: (N, W), before the projection.
        tokens: (N, L, W) or None.
        mask: (N, L) bool or None.
        local: (N, P, D), the embeddings of patches or words, rows of length one; None unless the tower gives them.
        local_mask: (N, P) bool, true at real ones; None means that all are.
    """

    embed: Tensor
    summary: Tensor
    tokens: Tensor | None = None
    mask: Tensor | None = None
    local: Tensor | None = None
    local_mask: Tensor | None = None

    @property
    def encoded(self) -> Encoded:
        """As the encoder gave it."""
        return Encoded(self.summary, self.tokens, self.mask)


def picked(features: Features, rows: Tensor) -> Features:
    """The ``rows`` of features, (M,) int64; any of them any number of times."""
    return Features(*(None if x is None else x.index_select(0, rows) for x in features))  # type: ignore[arg-type]


def unit(x: Tensor) -> Tensor:
    """Rows of length one in float32 or better, whatever the precision of the encoder."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


class Tower(nn.Module):
    """An encoder and its head.

    Args:
        encoder: Gives a summary.
        embed_dim: D.
        head: Maps it to the shared space, (N, W) to (N, D); one matrix by default.

    Attributes:
        resting: Modules that stay in evaluation mode in training, because none of their parameters is trained:
            their dropout is off and their batch statistics stand still.
        returns_local: Whether it gives the embeddings of patches or words, through the same head as the summary's.
    """

    def __init__(self, encoder: Encoder, embed_dim: int, head: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed_dim = embed_dim
        self.head = projection(encoder.width, embed_dim) if head is None else head
        self.resting: list[nn.Module] = []
        self.returns_local = False

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of everything but what rests."""
        super().train(mode)
        for module in self.resting:
            module.eval()
        return self

    def embed(self, *inputs: Tensor) -> Features:
        """The encoder's result with the embedding of its summary; without a graph where the encoder rests."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.encoder not in self.resting):
            encoded: Encoded = self.encoder(*inputs)
        features = Features(unit(self.head(encoded.summary)), *encoded)
        if not self.returns_local or encoded.tokens is None:
            return features
        first = self.encoder.leading_tokens
        mask = None if encoded.mask is None else encoded.mask[:, first:]
        return features._replace(local=unit(self.head(encoded.tokens[:, first:])), local_mask=mask)

    @property
    def trained(self) -> bool:
        """Whether any of it is trained."""
        return any(parameter.requires_grad for parameter in self.parameters())


class ImageTower(Tower):
    """Pixels to features; normalises uint8 pixels on the device that encodes them."""

    encoder: ImageEncoder
    gain: Tensor
    offset: Tensor

    def __init__(self, encoder: ImageEncoder, embed_dim: int, head: nn.Module | None = None) -> None:
        super().__init__(encoder, embed_dim, head)
        mean, std = (torch.tensor(x).view(3, 1, 1) for x in (encoder.mean, encoder.std))
        # (x/255 − mean)/std as one multiply and one subtract. Not saved: they belong to the encoder.
        self.register_buffer("gain", 1 / (255 * std), persistent=False)
        self.register_buffer("offset", mean / std, persistent=False)

    def forward(self, pixels: Tensor) -> Features:
        """Features of ``pixels`` (N, 3, H, W): uint8, or floating point that is already normalised."""
        if not pixels.is_floating_point():
            pixels = pixels.float().mul_(self.gain).sub_(self.offset)
        return self.embed(pixels)


class TextTower(Tower):
    """Tokens to features."""

    encoder: TextEncoder

    def __init__(self, encoder: TextEncoder, embed_dim: int, head: nn.Module | None = None) -> None:
        super().__init__(encoder, embed_dim, head)

    def forward(self, tokens: Tensor, mask: Tensor) -> Features:
        """Features of ``tokens`` (N, L) int64 under ``mask`` (N, L) bool."""
        return self.embed(tokens, mask)


class Towers(nn.Module):
    """The two towers, the temperature and perhaps a fusion encoder: the part of a model that is used after training."""

    def __init__(
        self, image: ImageTower, text: TextTower, temperature: Temperature, fusion: FusionEncoder | None = None
    ) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.temperature = temperature
        if fusion is not None:
            self.fusion = fusion

    def fuse(self, text: Features, image: Features) -> Encoded:
        """Texts and images read together, row by row; both carry tokens."""
        fused: Encoded = self.fusion(text.encoded, image.encoded)
        return fused
