"""Matrix products in float32 by the fastest exact kernel at hand.

On x86 torch multiplies float32 matrices with MKL, which on processors that are not Intel's leaves half of the
arithmetic units idle; oneDNN, which torch carries too and reaches for linear layers of compiled models, does not. Both
multiply and accumulate in float32. On everything else these are torch's own functions.

Shapes: T rows, I inputs, O outputs.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def rounded(count: int) -> int:
    """``count`` or a little more: one of eight numbers between a power of two and the next.

    oneDNN compiles its kernels anew for every number of rows, which takes longer than many products, and keeps them.
    What changes from step to step (real tokens of a batch, hidden words) is padded to such a number.
    """
    step = max(16, 1 << max(0, count.bit_length() - 4))
    return -(-count // step) * step


def product(left_RD: Tensor, right_CD: Tensor) -> Tensor:
    """left · rightᵀ, (R, C), for two matrices whose rows lie along the dimension that is summed over.

    The right one may be the transposed view of a row-major matrix at no cost; the left one should be
    row-major.
    """
    kernel = _kernel(left_RD)
    if kernel is not None and left_RD.numel() > 0 and right_CD.numel() > 0:
        result: Tensor = kernel(left_RD, right_CD, None, "none", [], "")
        return result
    return torch.mm(left_RD, right_CD.T)


def linear(x: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, x (…, I) to (…, O), with the same gradients."""
    plain = torch.is_autocast_enabled(x.device.type) or torch.compiler.is_compiling() or x.dtype != weight_OI.dtype
    if plain or _kernel(x) is None or x.numel() == 0 or weight_OI.numel() == 0:
        return F.linear(x, weight_OI, bias_O)
    out_TO: Tensor = _Linear.apply(x.flatten(0, -2), weight_OI, bias_O)
    return out_TO.view(*x.shape[:-1], -1)


class Linear(nn.Linear):
    """``torch.nn.Linear`` over :func:`linear`; the same parameters under the same names."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps (…, I) to (…, O)."""
        return linear(input, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_TI, weight_OI)
        kernel = _onednn_linear()
        assert kernel is not None
        out_TO: Tensor = kernel(x_TI, weight_OI, bias_O, "none", [], "")
        return out_TO

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_TO: Tensor) -> tuple[Tensor | None, ...]:
        x_TI, weight_OI = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            product(gradient_TO, weight_OI.T) if to_x else None,
            _weight_gradient(x_TI, gradient_TO) if to_weight else None,
            gradient_TO.sum(dim=0) if to_bias else None,
        )


def _weight_gradient(x_TI: Tensor, gradient_TO: Tensor) -> Tensor:
    """gradientᵀ · x, (O, I): up to a fifth faster with the narrower one on the left, which the kernel copies."""
    if gradient_TO.shape[1] <= x_TI.shape[1]:
        return product(gradient_TO.T, x_TI.T)
    return product(x_TI.T, gradient_TO.T).T


def _kernel(x: Tensor) -> Callable[..., Any] | None:
    """oneDNN's linear layer where it serves ``x``."""
    return _onednn_linear() if x.dtype == torch.float32 and x.device.type == "cpu" else None


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
