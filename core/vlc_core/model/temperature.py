"""The learned temperature of the softmax, and its bounds."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

LearnAs = Literal["log_scale", "temperature"]


class Temperature(nn.Module):
    """Holds τ and gives the scale s = 1/τ.

    What is learned makes a difference to Adam, whose steps do not depend on the gradient's size: CLIP learns
    t = ln s (arXiv 2103.00020, section 2.5), ALIGN (2102.05918) and TCL (2202.10401) learn τ itself.

    Args:
        init: The temperature to start from.
        min: The lowest temperature; 0.01 bounds the scale at CLIP's 100.
        max: The highest temperature.
        learn: Whether it is learned at all.
        learn_as: ``log_scale`` learns ln(1/τ), ``temperature`` learns τ.
    """

    def __init__(
        self,
        *,
        init: float = 0.07,
        min: float = 0.01,
        max: float = 1.0,
        learn: bool = True,
        learn_as: LearnAs = "log_scale",
    ) -> None:
        super().__init__()
        self.learn_as = learn_as
        # Shape (1,): DeepSpeed cannot partition a parameter without dimensions.
        self.value = nn.Parameter(torch.tensor([self._raw(init)]), requires_grad=learn)
        self.low, self.high = sorted((self._raw(min), self._raw(max)))

    def forward(self) -> Tensor:
        """The scale 1/τ, shape (1,)."""
        return self.value.exp() if self.learn_as == "log_scale" else self.value.reciprocal()

    @torch.no_grad()
    def take(self, other: Temperature) -> None:
        """Goes on from ``other``, however that one learned, or from the nearest within the bounds."""
        same = self.learn_as == other.learn_as
        self.value.copy_(other.value if same else torch.tensor([self._raw(1 / float(other()))]))
        self.value.clamp_(self.low, self.high)

    def _raw(self, temperature: float) -> float:
        return -math.log(temperature) if self.learn_as == "log_scale" else temperature
