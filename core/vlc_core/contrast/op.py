"""The primitive under every contrastive loss: log-sum-exp over scaled similarities, never the whole matrix.

Every loss here is Σᵢ [ log Σⱼ exp(s·aᵢ·kⱼ) − s·aᵢ·tᵢ ], where tᵢ is a mean of the keys by the weights of the
target; the first part is this one, the second costs A·D. Forward and backward of rows and columns together
are four matrix products where the usual implementation has six and stores the matrix several times.

Shapes: A anchors, K keys, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vlc_core.contrast import fused
from vlc_core.contrast.chunked import Chunks
from vlc_core.contrast.fused import Panels
from vlc_core.contrast.sums import Sums
from vlc_core.contrast.tiles import Groups
from vlc_core.distributed import all_max, all_sum, first_row, gather_rows, rank

LN_2 = math.log(2.0)


@overload
def streaming_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    both: Literal[False] = False,
    exclude: Groups | None = None,
) -> Tensor: ...
@overload
def streaming_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    both: Literal[True],
    exclude: Groups | None = None,
) -> tuple[Tensor, Tensor]: ...
def streaming_logsumexp(
    anchors: Tensor, keys: Tensor, scale: Tensor | float, *, both: bool = False, exclude: Groups | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """log Σⱼ exp(scale · anchorᵢ · keyⱼ) for each anchor, with ``both`` also over the anchors for each key.

    Differentiable once, with respect to anchors, keys and scale. Where the keys need no gradient (a queue,
    momentum features) and rows only are asked for, it takes two matrix products instead of four.

    Args:
        anchors: (A, D) float64, float32, bfloat16 or float16. Sums are taken in float32, or float64 where
            either input has it. Rows of unit length are summed fastest; any others are summed as exactly.
        keys: (K, D), likewise.
        scale: The inverse temperature: a number, or a tensor with one element.
        both: Also return the sums over the anchors.
        exclude: Two int64 tensors, (A,) and (K,): pairs with equal entries are left out.

    Returns:
        (A,), or (A,) and (K,), in the type of the sums. −∞, with zero gradient, where nothing was left to
        sum.
    """
    rows, columns = _apply(anchors, keys, scale, both, exclude, None)
    return (rows, columns) if both else rows


def ranked_logsumexp(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    counts: Sequence[int] | None,
    *,
    exclude: Groups | None = None,
) -> tuple[Tensor, Tensor]:
    """As :func:`streaming_logsumexp` with ``both``, over the anchors of all ranks and the keys of all ranks.

    Each rank holds its own anchors and all keys, gathered. Sums over keys are local; those over anchors take
    one all-reduce of K numbers by maximum and one by sum, and in the backward pass one gathering of K
    numbers. The gradient of ``keys`` is this rank's part: :func:`vlc_core.distributed.gather` adds the parts
    up.

    Args:
        anchors: (A, D), this rank's.
        keys: (K, D), those of all ranks, in their order.
        scale: The inverse temperature, equal on all ranks.
        counts: How many of the keys each rank owns; None where this rank is on its own and nothing is
            exchanged.
        exclude: Two int64 tensors, (A,) and (K,): pairs with equal entries are left out.

    Returns:
        For this rank's anchors (A,), and for this rank's keys (counts[rank],).
    """
    return _apply(anchors, keys, scale, True, exclude, counts)


class Attended(NamedTuple):
    """What :func:`streaming_mean` returns.

    Attributes:
        means: The weighted mean of the keys for each anchor; zero for an anchor without keys.
        logsums: What :func:`streaming_logsumexp` gives.
    """

    means: Tensor
    logsums: Tensor


def streaming_mean(anchors: Tensor, keys: Tensor, scale: Tensor | float, *, exclude: Groups | None = None) -> Attended:
    """The mean key by the weights softmaxⱼ(scale · anchorᵢ · keyⱼ): attention in tiles, without gradient.

    Args:
        anchors: (A, D) queries.
        keys: (K, D), which are the values too.
        scale: The inverse temperature.
        exclude: As for :func:`streaming_logsumexp`.
    """
    with torch.no_grad(), _plain(anchors):
        found = _path(anchors, keys, _tensor(scale, anchors), exclude).sums(means=True)
    assert found.means is not None
    return Attended(found.means, found.rows * LN_2)


class _Wanted(NamedTuple):
    """What a call asks for, fixed before it starts."""

    both: bool
    to_anchors: bool
    to_keys: bool
    to_scale: bool

    @property
    def means(self) -> bool:
        """Whether the mean keys, formed on the way, are all that the backward pass needs."""
        return not self.both and not self.to_keys and (self.to_anchors or self.to_scale)

    @property
    def walk(self) -> bool:
        """Whether the backward pass visits the tiles again."""
        return not self.means and (self.to_anchors or self.to_keys or self.to_scale)


def _apply(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    both: bool,
    exclude: Groups | None,
    counts: Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    scale = _tensor(scale, anchors)
    gradient = torch.is_grad_enabled()
    needed = (gradient and t.requires_grad for t in (anchors, keys, scale))
    wanted = _Wanted(both, *needed)
    rows, columns = _LogSumExp.apply(anchors, keys, scale, wanted, exclude, counts)
    return rows, columns


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        keys: Tensor,
        scale: Tensor,
        wanted: _Wanted,
        exclude: Groups | None,
        counts: Sequence[int] | None,
    ) -> tuple[Tensor, Tensor]:
        with _plain(anchors):
            path = _path(anchors, keys, scale, exclude)
            found = path.sums(both=wanted.both, means=wanted.means, keep=wanted.walk)
        columns_K = found.rows.new_empty(0) if found.columns is None else found.columns
        if counts is not None:
            columns_K = found.columns = _summed_over_ranks(columns_K)
        groups = (None, None) if exclude is None else exclude
        sums = (found.rows, found.columns, found.means, *(found.kept or ()))
        ctx.save_for_backward(anchors, keys, scale, *groups, *sums)
        ctx.wanted, ctx.counts, ctx.shift = wanted, counts, found.shift
        ctx.set_materialize_grads(True)
        return found.rows * LN_2, _own(columns_K, counts) * LN_2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, rows: Tensor, columns: Tensor) -> tuple[Tensor | None, ...]:
        anchors, keys, scale, anchor_group, key_group, row_sums, column_sums, means, *kept = ctx.saved_tensors
        wanted: _Wanted = ctx.wanted
        exclude = None if anchor_group is None else (anchor_group, key_group)
        column_gradient = None
        if wanted.both:
            column_gradient = columns if ctx.counts is None else gather_rows(columns, ctx.counts)
        with _plain(anchors):
            if wanted.means:
                to_anchors, to_keys = rows[:, None] * means, None
            else:
                to_anchors, to_keys = _path(anchors, keys, scale, exclude).gradients(
                    Sums(row_sums, column_sums, None, ctx.shift, kept or None),
                    rows,
                    column_gradient,
                    to_anchors=wanted.to_anchors or not wanted.to_keys,
                    to_keys=wanted.to_keys,
                )
        return *_scaled(to_anchors, to_keys, anchors, keys, scale, wanted), None, None, None


def _scaled(
    to_anchors: Tensor | None,
    to_keys: Tensor | None,
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor,
    wanted: _Wanted,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """From gradients with respect to scale · rows to those with respect to rows and scale.

    The loss depends on the scale only through scale · anchor, so its derivative is Σ anchor · gradient.
    """
    to_scale = None
    if wanted.to_scale:
        gradient, side = (to_keys, keys) if to_anchors is None else (to_anchors, anchors)
        assert gradient is not None
        to_scale = torch.dot(gradient.flatten(), side.to(gradient.dtype).flatten())
        to_scale = to_scale.to(scale.dtype).reshape(scale.shape)
    factor = scale.reshape(()).to(anchors.device)
    return (
        to_anchors.mul_(factor).to(anchors.dtype) if to_anchors is not None and wanted.to_anchors else None,
        to_keys.mul_(factor).to(keys.dtype) if to_keys is not None and wanted.to_keys else None,
        to_scale,
    )


def _summed_over_ranks(logs_K: Tensor) -> Tensor:
    """log₂ Σ 2^x over the ranks: two all-reduces of K numbers, whatever the values."""
    top_K = all_max(logs_K)
    top_K = top_K.masked_fill(top_K == -torch.inf, 0.0)
    return all_sum((logs_K - top_K).exp2_()).log2_() + top_K


def _own(columns_K: Tensor, counts: Sequence[int] | None) -> Tensor:
    if counts is None:
        return columns_K
    first = first_row(counts)
    return columns_K[first : first + counts[rank()]]


def _path(anchors: Tensor, keys: Tensor, scale: Tensor, exclude: Groups | None) -> Chunks | Panels:
    """The walk that suits the device and the type."""
    double = torch.float64 in (anchors.dtype, keys.dtype)
    if anchors.is_cuda and not double and fused.available():
        return Panels.of(anchors.detach(), keys.detach(), scale, exclude)
    return Chunks.of(anchors, keys, scale, exclude)


def _tensor(scale: Tensor | float, like: Tensor) -> Tensor:
    return scale if isinstance(scale, Tensor) else torch.tensor(float(scale), device=like.device)


def _plain(x: Tensor) -> torch.autocast:
    """No autocast within: it would round what must not be rounded."""
    return torch.autocast(x.device.type, enabled=False)
