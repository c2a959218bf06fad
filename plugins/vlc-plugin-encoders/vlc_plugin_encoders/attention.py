"""Attention by the kernel that suits its type, device and length.

torch's own kernel for the CPU never stores the weights, but in bfloat16 its backward pass takes 15 times as long as
the five matrix products that it consists of, at the lengths of captions and small images, and twice as long at 400.

Shapes: N items, H heads, Q queries, L keys, d width of a head, B = N·H.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST = 384
"""Keys up to which weights are stored: they add a third there to what a block keeps, at one head per 64 channels."""


def attend(
    q_NHQd: Tensor,
    k_NHLd: Tensor,
    v_NHLd: Tensor,
    seen: Tensor | None = None,
    *,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(q · kᵀ / √d) · v, (N, H, Q, d).

    Args:
        q_NHQd: Queries.
        k_NHLd: Keys.
        v_NHLd: Values.
        seen: Bool, of a shape that expands to (N, H, Q, L), true at keys that may be seen, at least one of each
            query; None for all.
        causal: Instead of ``seen``, whether query i sees keys 0…i only, of as many keys as queries.
        dropout: Share of the weights that is set to zero.
    """
    stored = q_NHQd.dtype == torch.bfloat16 and q_NHQd.device.type == "cpu" and k_NHLd.shape[2] <= LONGEST
    if not stored or dropout > 0 or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(q_NHQd, k_NHLd, v_NHLd, seen, dropout, is_causal=causal)
    if causal:
        seen = torch.ones(q_NHQd.shape[2], k_NHLd.shape[2], dtype=torch.bool).tril_()
    with torch.autocast("cpu", enabled=False):
        attended: Tensor = _Attention.apply(q_NHQd, k_NHLd, v_NHLd, None if seen is None else ~seen)
    return attended


class _Attention(torch.autograd.Function):
    """Logits and the softmax are in float32, and the other products sum in it, as in torch's kernel."""

    @staticmethod
    def forward(ctx: Any, q_NHQd: Tensor, k_NHLd: Tensor, v_NHLd: Tensor, hidden: Tensor | None) -> Tensor:
        q_BQd, k_BLd, v_BLd = (x.flatten(0, 1) for x in (q_NHQd, k_NHLd, v_NHLd))
        logits_BQL = _product(q_BQd.float(), k_BLd.float().transpose(1, 2), q_BQd.shape[-1] ** -0.5)
        if hidden is not None:
            logits_BQL.unflatten(0, q_NHQd.shape[:2]).masked_fill_(hidden, -torch.inf)
        weights_BQL = torch.softmax(logits_BQL, dim=-1).to(v_BLd.dtype)
        ctx.save_for_backward(q_BQd, k_BLd, v_BLd, weights_BQL)
        ctx.heads = q_NHQd.shape[1]
        attended_BQd = torch.bmm(weights_BQL, v_BLd)
        return attended_BQd.view(q_NHQd.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_NHQd: Tensor) -> tuple[Tensor | None, ...]:
        q_BQd, k_BLd, v_BLd, weights_BQL = ctx.saved_tensors
        gradient_BQd, scale = gradient_NHQd.flatten(0, 1), q_BQd.shape[-1] ** -0.5
        to_weights_BQL = torch.bmm(gradient_BQd, v_BLd.transpose(1, 2))
        to_logits_BQL = torch._softmax_backward_data(to_weights_BQL, weights_BQL, -1, weights_BQL.dtype)
        found = (
            _product(to_logits_BQL, k_BLd, scale),
            _product(to_logits_BQL.transpose(1, 2), q_BQd, scale),
            torch.bmm(weights_BQL.transpose(1, 2), gradient_BQd),
        )
        return *(x.unflatten(0, (-1, ctx.heads)) for x in found), None


def _product(left: Tensor, right: Tensor, scale: float) -> Tensor:
    """scale · left · right of stacks of matrices."""
    return torch.baddbmm(left.new_empty(1, 1, 1), left, right, beta=0, alpha=scale)
