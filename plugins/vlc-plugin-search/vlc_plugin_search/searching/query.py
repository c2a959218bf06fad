"""What is asked for, and the one vector that it becomes.

Shapes: Q queries, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.errors import RecipeError

_LEAST = 1e-3
"""Shorter sums have no direction to speak of: what is left of them is rounding."""


class Kind(StrEnum):
    """What a query starts from."""

    TEXT = "text"
    IMAGE = "image"
    LIKE = "like"


@dataclass(frozen=True, slots=True)
class Change:
    """What every query is moved by.

    Attributes:
        plus: Texts to move towards.
        minus: Texts to move away from.
        plus_weight: How far, in lengths of the query.
        minus_weight: How far away.
    """

    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    plus_weight: float = 1.0
    minus_weight: float = 1.0

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them."""
        return self.plus + self.minus

    @property
    def weights(self) -> list[float]:
        """Of each of ``texts``, negative for those to move away from."""
        return [self.plus_weight] * len(self.plus) + [-self.minus_weight] * len(self.minus)


@dataclass(frozen=True, slots=True)
class Query:
    """One thing to look for.

    Attributes:
        kind: What ``value`` is.
        value: A text, the path of an image, or the key of an embedded sample.
        change: What it is moved by.
    """

    kind: Kind
    value: str
    change: Change = Change()

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that are part of it."""
        own = (self.value,) if self.kind is Kind.TEXT else ()
        return own + self.change.texts

    def __str__(self) -> str:
        moved = [f"+ {text!r}" for text in self.change.plus] + [f"− {text!r}" for text in self.change.minus]
        own = repr(self.value) if self.kind is Kind.TEXT else f"{self.kind} {self.value}"
        return " ".join([own, *moved])


def combine(base_QD: Tensor, texts_TD: Tensor, weights: Sequence[float]) -> Tensor:
    """base + Σ weight · text, of length one: how ALIGN searches by image ± text (arXiv 2102.05918, section 7).

    Args:
        base_QD: (Q, D), rows of length one.
        texts_TD: (T, D), rows of length one.
        weights: Of each text, negative for what is taken away.

    Returns:
        (Q, D) float32, rows of length one.

    Raises:
        RecipeError: Nothing is left of a query.
    """
    moved_QD = base_QD.float() + torch.tensor(weights, dtype=torch.float32) @ texts_TD.float()
    if bool((moved_QD.norm(dim=1) < _LEAST).any()):
        raise RecipeError("--plus and --minus take away all of the query: change one of them, or its weight")
    return F.normalize(moved_QD, dim=1)
