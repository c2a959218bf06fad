"""Pairs read by the fusion encoder outside training: what an objective makes of them, and where they looked.

Shapes: I images, T texts, N pairs, L text tokens, P image tokens, C classes, H heads, W width, S × S patches.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core.errors import RecipeError
from vlc_core.interfaces.encoder import Encoded
from vlc_core.interfaces.objective import Objective
from vlc_core.model.towers import Features, Towers, picked


class Pairs(NamedTuple):
    """Images and texts, each once, and which of them are read together.

    Attributes:
        pixels: (I, 3, S, S) uint8.
        second: (I, 3, S, S) uint8, the second images of samples that have two; None where no objective reads them.
        tokens: (T, L) int64.
        mask: (T, L) bool.
        rows: (N, 2) int64, an image and a text.
    """

    pixels: Tensor
    second: Tensor | None
    tokens: Tensor
    mask: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> Pairs:
        """On another device."""
        return Pairs(*(None if x is None else x.to(device) for x in self))  # type: ignore[arg-type]


class Look(NamedTuple):
    """Which attention is asked for.

    Attributes:
        block: The number of the fusion encoder's block; negative ones count from its last; None for the sum of all.
        column: Of the objective's logits.
    """

    block: int | None
    column: int


def judge(towers: Towers, objective: Objective, pairs: Pairs, look: Look | None = None) -> Tensor:
    """Logits (N, C) of pairs, or with ``look`` the maps (N, S, S) of :func:`attended`."""
    with torch.no_grad():
        image, text = towers.image(pairs.pixels), towers.text(pairs.tokens, pairs.mask)
        second = None if pairs.second is None else towers.image(pairs.second)
    image_N, text_N = picked(image, pairs.rows[:, 0]), picked(text, pairs.rows[:, 1])
    if look is not None:
        return attended(towers, objective, image_N, text_N, look)
    with torch.no_grad():
        fused = towers.fuse(text_N, image_N)
        if second is not None:
            fused = side_by_side(fused, towers.fuse(text_N, picked(second, pairs.rows[:, 0])))
        return objective.judge(fused)


def attended(towers: Towers, objective: Objective, image: Features, text: Features, look: Look) -> Tensor:
    """Where the fusion encoder looks for what speaks for a class: Grad-CAM over its attention to the image.

    The attention of a block, times the gradient of the class's logit where that is positive, averaged over heads and
    real tokens. Li et al. 2021 (ALBEF), arXiv 2107.07651, section 6.4; Selvaraju et al. 2017. The sum over blocks is
    ours.

    Returns:
        (N, S, S), at least 0, without gradient.
    """
    blocks = watchable(towers)
    looked = range(blocks) if look.block is None else (look.block % blocks,)
    maps_NP = sum(_weighed(towers, objective, image, text, block, look.column) for block in looked)
    assert isinstance(maps_NP, Tensor)
    return _square(maps_NP[:, towers.image.encoder.leading_tokens :])


def _weighed(towers: Towers, objective: Objective, image: Features, text: Features, block: int, column: int) -> Tensor:
    """(N, P) of one block."""
    fusion = towers.fusion
    assert image.tokens is not None
    fusion.watched = block  # type: ignore[assignment]
    try:
        with torch.enable_grad():
            tokens_NPW = image.tokens.detach().requires_grad_()  # so that maps have a gradient in a frozen model too
            logits_NC = objective.judge(towers.fuse(text, image._replace(tokens=tokens_NPW)))
            maps_NHLP: Tensor = fusion.maps  # type: ignore[assignment]
            (slope_NHLP,) = torch.autograd.grad(logits_NC[:, column].sum(), maps_NHLP)
    finally:
        fusion.watched = fusion.maps = None  # type: ignore[assignment]
    weighed_NLP = (maps_NHLP.detach() * slope_NHLP.clamp(min=0)).mean(dim=1)
    if text.mask is None:
        return weighed_NLP.mean(dim=1)
    weighed_NLP = weighed_NLP * text.mask[:, : weighed_NLP.shape[1], None]
    return weighed_NLP.sum(dim=1) / text.mask.sum(dim=1, keepdim=True).clamp(min=1)


def watchable(towers: Towers) -> int:
    """How many blocks of the fusion encoder can be looked into.

    Raises:
        RecipeError: None.
    """
    if not hasattr(towers.fusion, "watched"):
        raise RecipeError(
            f"the fusion encoder {type(towers.fusion).__name__} does not tell where it looks: use one with `watched` "
            f"and `maps`, such as cross-attention"
        )
    return max(1, len(towers.fusion.layer_names()) - 1)


def side_by_side(first: Encoded, second: Encoded) -> Encoded:
    """A text's readings of two images as one: summaries (N, 2W), tokens (N, 2L, W)."""
    tokens = None if first.tokens is None or second.tokens is None else torch.cat([first.tokens, second.tokens], dim=1)
    mask = None if first.mask is None or second.mask is None else torch.cat([first.mask, second.mask], dim=1)
    return Encoded(torch.cat([first.summary, second.summary], dim=1), tokens, mask)


def _square(patches_NP: Tensor) -> Tensor:
    side = isqrt(patches_NP.shape[1])
    if side * side != patches_NP.shape[1]:
        raise RecipeError(
            f"the image encoder gives {patches_NP.shape[1]} patches, which are no square: no map is drawn"
        )
    square_NSS: Tensor = patches_NP.unflatten(1, (side, side))
    return square_NSS
