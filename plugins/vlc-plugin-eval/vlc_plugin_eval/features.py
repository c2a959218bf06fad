"""Checks and products of embeddings that the evaluators share.

Shapes: N rows, D and W width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vlc_core.errors import Diverged


def finite_rows(x_NW: Tensor, *, what: str) -> Tensor:
    """(N, W) in float32 on the CPU.

    Args:
        x_NW: (N, W) features.
        what: What they are of, for the message.

    Raises:
        Diverged: A value is not finite: any figure made from it would be meaningless.
    """
    x_NW = x_NW.detach().to("cpu", torch.float32)
    broken = int((~x_NW.isfinite().all(dim=1)).sum())
    if broken > 0:
        raise Diverged(
            f"{broken} of {x_NW.shape[0]} {what} embeddings are not finite: the weights have diverged; "
            "evaluate an earlier checkpoint, or train with a lower learning rate"
        )
    return x_NW


def unit_rows(embed_ND: Tensor, *, what: str) -> Tensor:
    """Rows of unit length in float32 on the CPU; a zero row stays zero.

    Args:
        embed_ND: (N, D) embeddings.
        what: What they are of, for the message.

    Raises:
        Diverged: A value is not finite.
    """
    return F.normalize(finite_rows(embed_ND, what=what), dim=1)
