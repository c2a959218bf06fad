"""Projection heads: from an encoder's summary to the shared space.

Shapes: N items, W encoder width, H hidden width, D width of the shared space.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import nn

from vlc_core.errors import RecipeError
from vlc_core.products import Linear
from vlc_core.recipe.schema import Head, Model

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


def shared_width(model: Model, image_width: int, text_width: int) -> int:
    """D: the recipe's, or the width of an encoder that has no head to change it, or the narrower one's, as in CLIP."""
    if model.embed_dim is not None:
        return model.embed_dim
    widths = ((image_width, model.image.head), (text_width, model.text.head))
    bare = [width for width, head in widths if head.use == "none"]
    return bare[0] if bare else min(image_width, text_width)


def make_head(spec: Head, width: int, embed_dim: int, at: str) -> nn.Module:
    """The head that a recipe asks for, freshly initialised.

    Args:
        spec: What it asks for.
        width: W.
        embed_dim: D.
        at: The key of the recipe, for messages.

    Raises:
        RecipeError: There is to be none, and the widths differ.
    """
    if spec.use == "linear":
        return projection(width, embed_dim)
    if spec.use == "mlp":
        return perceptron(width, embed_dim, hidden=spec.hidden, layers=spec.layers, activation=spec.activation)
    if width != embed_dim:
        raise RecipeError(
            f"{at}: without a head the shared space is as wide as the encoder, and they are {embed_dim} and {width}: "
            f"set model.embed_dim to {width}, or take a head"
        )
    return nn.Identity()


def projection(width: int, embed_dim: int) -> Linear:
    """A linear head without bias; standard deviation W^-½ keeps the variance, as in CLIP."""
    head = Linear(width, embed_dim, bias=False)
    nn.init.normal_(head.weight, std=width**-0.5)
    return head


def perceptron(
    width: int, embed_dim: int, *, hidden: int | None, layers: int, activation: Literal["gelu", "relu"]
) -> nn.Sequential:
    """A head of several layers, (N, W) to (N, D), as SimCLR introduced them (arXiv 2002.05709, section 4.2).

    Args:
        width: W.
        embed_dim: D.
        hidden: H, between layers; W where None.
        layers: Matrices, at least two. The last has no bias, as the linear head has none.
        activation: Between two of them.
    """
    widths = [width, *[width if hidden is None else hidden] * (layers - 1)]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        layer = Linear(before, after)
        # The activation halves the variance (He et al., arXiv 1502.01852).
        nn.init.normal_(layer.weight, std=(2 / before) ** 0.5)
        nn.init.zeros_(layer.bias)
        parts += [layer, ACTIVATIONS[activation]()]
    return nn.Sequential(*parts, projection(widths[-1], embed_dim))
