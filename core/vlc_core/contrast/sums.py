"""What a walk over all tiles gives, by whichever path."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class Sums:
    """Sums of exponentials as logarithms to base 2.

    Attributes:
        rows: (A,), log₂ of each anchor's sum, −∞ where it has no key.
        columns: (K,), log₂ of each key's sum, or None.
        means: (A, D), for each anchor the mean of the keys, weighted by their exponentials; zero where it has
            none; or None.
        shift: The fixed shift that was subtracted from every logit, or None where running maxima were used.
        kept: The exponentials of every tile, in order, or its logits where ``shift`` is None; or None.
    """

    rows: Tensor
    columns: Tensor | None = None
    means: Tensor | None = None
    shift: float | None = None
    kept: list[Tensor] | None = field(default=None, repr=False)


def no_sums(count: int, like: Tensor) -> Tensor:
    """The logarithms of ``count`` sums of nothing, of the device and type of ``like``."""
    return like.new_full((count,), -torch.inf)


def lowered(logs: Tensor) -> Tensor:
    """−∞ replaced by 0, so that −∞ minus it is −∞ and no NaN."""
    return logs.masked_fill(logs == -torch.inf, 0.0)


def raised(logs: Tensor) -> Tensor:
    """−∞ replaced by +∞: an empty sum, in which nothing has a share."""
    return logs.masked_fill(logs == -torch.inf, torch.inf)
