"""Where a mask is true: how many places that are depends on values, which the plan of a run does not have."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def has_values(x: Tensor) -> bool:
    """Whether ``x`` holds numbers; it does not in a step that is planned and not taken."""
    return not isinstance(x, FakeTensor)


def places(mask: Tensor, *, share: float) -> Tensor:
    """The places where ``mask`` is true.

    Args:
        mask: Bool, of any shape.
        share: How much of it a plan takes to be true.

    Returns:
        (M,) int64, places in the flattened tensor, ascending.
    """
    if has_values(mask):
        return mask.flatten().nonzero().squeeze(1)
    return torch.arange(math.ceil(share * mask.numel()), device=mask.device)
