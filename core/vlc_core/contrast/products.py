"""Matrix products of tiles, by the fastest exact kernel at hand.

On x86 torch multiplies float32 matrices with MKL, which on processors that are not Intel's leaves half of the
arithmetic units idle; oneDNN, which torch carries too and reaches for linear layers of compiled models, does
not. Both multiply and accumulate in float32.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor


def product(left_RD: Tensor, right_CD: Tensor) -> Tensor:
    """left · rightᵀ, (R, C), for two matrices whose rows lie along the dimension that is summed over.

    The right one may be the transposed view of a row-major matrix at no cost; the left one should be
    row-major.
    """
    if left_RD.dtype == torch.float32 and left_RD.device.type == "cpu":
        linear = _onednn_linear()
        if linear is not None and left_RD.numel() > 0 and right_CD.numel() > 0:
            result: Tensor = linear(left_RD, right_CD, None, "none", [], "")
            return result
    return torch.mm(left_RD, right_CD.T)


@cache
def _onednn_linear() -> Callable[..., Any] | None:
    """oneDNN's float32 linear layer, or None where this build or processor is better off without."""
    if not torch.backends.mkldnn.is_available() or platform.machine().lower() not in {"x86_64", "amd64"}:
        return None
    try:
        found: Callable[..., Any] = torch.ops.mkldnn._linear_pointwise.default
    except AttributeError:
        return None
    return found
