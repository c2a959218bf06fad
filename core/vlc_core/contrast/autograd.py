"""The contrast op's one autograd function: forward and backward of a walk, and what ranks exchange on the way.

Shapes: A anchors, K keys, D width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vlc_core.contrast import fused
from vlc_core.contrast.chunked import Chunks
from vlc_core.contrast.classes import Classes, ToMeans
from vlc_core.contrast.fused import Panels
from vlc_core.contrast.own import add_own, own_products
from vlc_core.contrast.sums import Sums
from vlc_core.contrast.tiles import Groups
from vlc_core.distributed import all_max, all_sum, first_row, gather_rows, rank

LN_2 = math.log(2.0)


class Wanted(NamedTuple):
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


def differentiable_sums(
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor | float,
    *,
    both: bool,
    exclude: Groups | None,
    counts: Sequence[int] | None = None,
    first: int | None = None,
    classes: Classes | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Natural log-sums of rows and of this rank's columns, own logits, how far these lie above their class's in all.

    Empty or zero where they were not asked for: by ``both``, ``first`` and ``classes``, which needs the one before.
    """
    scale = scale if isinstance(scale, Tensor) else torch.tensor(float(scale), device=anchors.device)
    needed = (torch.is_grad_enabled() and t.requires_grad for t in (anchors, keys, scale))
    rows, columns, positives, apart = _LogSumExp.apply(
        anchors, keys, scale, Wanted(both, *needed), exclude, counts, first, classes
    )
    return rows, columns, positives, apart


def path(anchors: Tensor, keys: Tensor, scale: Tensor | float, exclude: Groups | None) -> Chunks | Panels:
    """The walk that suits the device and the type."""
    double = torch.float64 in (anchors.dtype, keys.dtype)
    if anchors.is_cuda and not double and fused.available():
        return Panels.of(anchors.detach(), keys.detach(), scale, exclude)
    return Chunks.of(anchors.detach(), keys.detach(), scale, exclude)


def without_autocast(x: Tensor) -> torch.autocast:
    """Autocast would round what must not be rounded."""
    return torch.autocast(x.device.type, enabled=False)


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        keys: Tensor,
        scale: Tensor,
        wanted: Wanted,
        exclude: Groups | None,
        counts: Sequence[int] | None,
        first: int | None,
        classes: Classes | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with without_autocast(anchors):
            found = path(anchors, keys, scale, exclude).sums(both=wanted.both, means=wanted.means, keep=wanted.walk)
        columns_K = found.rows.new_empty(0) if found.columns is None else found.columns
        if counts is not None:
            columns_K = found.columns = _summed_over_ranks(columns_K)
        own_A, apart, to_means = found.rows.new_empty(0), found.rows.new_zeros(()), None
        if first is not None:
            with without_autocast(anchors):
                own_A, apart, to_means = _own_and_apart(anchors, keys, scale, first, classes, found.rows)
        groups = (None, None) if exclude is None else exclude
        sums = (found.rows, found.columns, found.means, *(found.kept or ()))
        ctx.save_for_backward(anchors, keys, scale, *groups, *sums)
        ctx.wanted, ctx.counts, ctx.shift, ctx.first, ctx.to_means = wanted, counts, found.shift, first, to_means
        return found.rows * LN_2, _of_this_rank(columns_K, counts) * LN_2, own_A, apart

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, rows: Tensor, columns: Tensor, to_own: Tensor, to_apart: Tensor
    ) -> tuple[Tensor | None, ...]:
        anchors, keys, scale, *others = ctx.saved_tensors
        anchor_group, key_group, row_sums, column_sums, means, *kept = others
        wanted: Wanted = ctx.wanted
        exclude = None if anchor_group is None else (anchor_group, key_group)
        column_gradient = None
        if wanted.both:
            column_gradient = columns if ctx.counts is None else gather_rows(columns, ctx.counts)
        with without_autocast(anchors):
            if wanted.means:
                to_anchors, to_keys = rows[:, None] * means, None
            else:
                to_anchors, to_keys = path(anchors, keys, scale, exclude).gradients(
                    Sums(row_sums, column_sums, None, ctx.shift, kept or None),
                    rows,
                    column_gradient,
                    to_anchors=wanted.to_anchors or not wanted.to_keys,
                    to_keys=wanted.to_keys,
                )
            if ctx.first is not None:
                _add_own(to_anchors, to_keys, anchors, keys, ctx.first, to_own, ctx.to_means, to_apart)
        return *_scaled(to_anchors, to_keys, anchors, keys, scale, wanted), None, None, None, None, None


def _own_and_apart(
    anchors: Tensor, keys: Tensor, scale: Tensor, first: int, classes: Classes | None, like: Tensor
) -> tuple[Tensor, Tensor, ToMeans | None]:
    """The own logits, (A,); by how much their sum is above that of logits with class means; and what that came of."""
    factor, wide = scale.reshape(()).to(like), like.dtype
    own_A = own_products(anchors, keys[first : first + anchors.shape[0]], wide)
    if classes is None:
        return own_A * factor, own_A.new_zeros(()), None
    to_means = ToMeans.of(anchors.to(wide), keys.to(wide), classes, first)
    return own_A * factor, to_means.distance(own_A) * factor, to_means


def _add_own(
    to_anchors: Tensor | None,
    to_keys: Tensor | None,
    anchors: Tensor,
    keys: Tensor,
    first: int,
    to_own: Tensor,
    to_means: ToMeans | None,
    to_apart: Tensor,
) -> None:
    """Adds the gradients that come through the own logits and through how far they lie apart."""
    own, end = slice(first, first + anchors.shape[0]), first + anchors.shape[0]
    of_keys = of_anchors = None
    if to_means is not None:
        to_own = torch.addcmul(to_own, to_means.shared, to_apart)
        of_anchors, of_keys = to_means.less(to_apart)
    if to_anchors is not None:
        add_own(to_anchors, keys[own], to_own, None if of_anchors is None else of_anchors.at(own))
    if to_keys is not None:
        add_own(to_keys[own], anchors, to_own, None if of_keys is None else of_keys.at(own))
    if to_keys is not None and of_keys is not None:
        for others in (slice(0, first), slice(end, to_keys.shape[0])):
            of_keys.at(others).subtract_from(to_keys[others])


def _scaled(
    to_anchors: Tensor | None,
    to_keys: Tensor | None,
    anchors: Tensor,
    keys: Tensor,
    scale: Tensor,
    wanted: Wanted,
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


def _of_this_rank(columns_K: Tensor, counts: Sequence[int] | None) -> Tensor:
    if counts is None:
        return columns_K
    first = first_row(counts)
    return columns_K[first : first + counts[rank()]]
