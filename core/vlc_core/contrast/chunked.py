"""Sums over tiles and their gradients in plain torch: what the CPU runs.

Every sum of exponentials is kept as a logarithm to base 2. Two ways lead to it. As long as the greatest logit
that rows of unit length allow leaves room in the floating-point range, all exponentials are taken relative to
one fixed shift, and one exponential serves rows and columns both. Whether a row or column fell out of the
range all the same (because rows were longer than 1, say) shows in its sum, and then, as for greater scales,
running maxima are used. The choice is this process's own: results agree to rounding, and nothing that ranks
exchange depends on it.

Shapes: A anchors, K keys, D width, R × C a tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vlc_core.contrast.products import product
from vlc_core.contrast.tiles import Similarities

KEPT_BYTES = 64 << 20  # 4096² of float32
_TOP = 126.0  # exponents of float32 end at 127
_BOTTOM = 2.0**-100  # below it, a sum may have lost terms that count


@dataclass(slots=True)
class Sums:
    """What a walk over all tiles gives.

    Attributes:
        rows: log₂ of each anchor's sum, −∞ where it has no key.
        columns: log₂ of each key's sum, or None.
        means: For each anchor the mean of the keys, weighted by their exponentials; zero where it has none;
            or None.
        shift: The fixed shift that was subtracted from every logit, or None where running maxima were used.
        kept: The exponentials of every tile, in order, or its logits where ``shift`` is None; or None.
    """

    rows: Tensor
    columns: Tensor | None = None
    means: Tensor | None = None
    shift: float | None = None
    kept: list[Tensor] | None = field(default=None, repr=False)


def sums(similarities: Similarities, *, both: bool = False, means: bool = False, keep: bool = False) -> Sums:
    """Walks over all tiles once.

    Args:
        similarities: What to sum.
        both: Also sum over the anchors for each key.
        means: Also form each anchor's mean key.
        keep: Keep the tiles for :func:`gradients`, if they fit :data:`KEPT_BYTES`.
    """
    rows, columns = similarities.shape
    fits = rows * columns * similarities.anchors.element_size() <= KEPT_BYTES
    shift = _fixed_shift(similarities)
    if shift is not None:
        found = _fixed(similarities, shift, both=both, means=means, keep=keep and fits)
        if found is not None:
            return found
    return _running(similarities, both=both, means=means, keep=keep and fits)


def _fixed_shift(similarities: Similarities) -> float | None:
    span = abs(similarities.factor)
    shift = max(0.0, span + math.log2(max(2, *similarities.shape)) - _TOP)
    return shift if span - shift < _TOP and -span - shift > -2 * _TOP + 24 else None


def _fixed(s: Similarities, shift: float, *, both: bool, means: bool, keep: bool) -> Sums | None:
    """The sums by one shift, or None where a sum left the range."""
    row_A, column_K = s.anchors.new_zeros(s.shape[0]), s.anchors.new_zeros(s.shape[1])
    mean_AD = torch.zeros_like(s.anchors) if means else None
    kept: list[Tensor] | None = [] if keep else None
    for rows, scaled_RD in s.strips():
        for columns in s.columns():
            tile_RC = s.tile(scaled_RD, rows, columns)
            power_RC = _shifted(tile_RC, shift).exp2_()
            row_A[rows] += power_RC.sum(dim=1)
            if both:
                column_K[columns] += power_RC.sum(dim=0)
            if mean_AD is not None:
                mean_AD[rows] += product(power_RC, s.keys[columns].T)
            if kept is not None:
                kept.append(power_RC)
    if not (_in_range(row_A) and (not both or _in_range(column_K))):
        return None
    if mean_AD is not None:
        mean_AD /= row_A[:, None]
    return Sums(row_A.log2() + shift, column_K.log2() + shift if both else None, mean_AD, shift, kept)


def _running(s: Similarities, *, both: bool, means: bool, keep: bool) -> Sums:
    """The sums relative to running maxima, right at any scale."""
    rows_A, columns_K = _nothing(s.anchors, s.shape[0]), _nothing(s.anchors, s.shape[1])
    mean_AD = torch.zeros_like(s.anchors) if means else None
    kept: list[Tensor] | None = [] if keep else None
    for rows, scaled_RD in s.strips():
        for columns in s.columns():
            tile_RC = s.tile(scaled_RD, rows, columns)
            if both:
                columns_K[columns] = _add(columns_K[columns], _log2_sum(tile_RC.T))
            before_R, after_R = rows_A[rows], _add(rows_A[rows], _log2_sum(tile_RC))
            if mean_AD is not None:
                top_R = _finite(after_R)
                mean_AD[rows] *= (before_R - top_R).exp2_()[:, None]
                mean_AD[rows] += product((tile_RC - top_R[:, None]).exp2_(), s.keys[columns].T)
            rows_A[rows] = after_R
            if kept is not None:
                kept.append(tile_RC)
    return Sums(rows_A, columns_K if both else None, mean_AD, None, kept)


def gradients(
    s: Similarities,
    found: Sums,
    row_gradient_A: Tensor,
    column_gradient_K: Tensor | None,
    *,
    to_anchors: bool,
    to_keys: bool,
    low: torch.dtype,
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients with respect to scale · anchors, (A, D), and scale · keys, (K, D), where they are wanted.

    Args:
        s: What was summed.
        found: What :func:`sums` gave, ``columns`` possibly summed over ranks since.
        row_gradient_A: What comes in for each anchor's natural log-sum.
        column_gradient_K: What comes in for each key's, or None where none was asked for.
        to_anchors: Whether the first result is wanted.
        to_keys: Whether the second is.
        low: The type that tiles are rounded to before they are multiplied: that of the inputs.
    """
    anchors_AD, keys_KD = s.anchors.to(low), s.keys.to(low)
    to_anchors_AD = torch.zeros_like(s.anchors) if to_anchors else None
    to_keys_DK = s.keys.new_zeros(s.keys.shape[::-1]) if to_keys else None
    weigh = _Weights(found, row_gradient_A, column_gradient_K)
    kept = iter(found.kept) if found.kept is not None else None
    for rows, scaled_RD in s.strips():
        anchors_DR = anchors_AD[rows].T.contiguous()
        for columns in s.columns():
            tile_RC = s.tile(scaled_RD, rows, columns) if kept is None else next(kept)
            weight_RC = weigh(tile_RC, rows, columns, powers=kept is not None).to(low)
            if to_anchors_AD is not None:
                to_anchors_AD[rows] += product(weight_RC, keys_KD[columns].T)
            if to_keys_DK is not None:
                to_keys_DK[:, columns] += product(anchors_DR, weight_RC.T)
    return to_anchors_AD, None if to_keys_DK is None else to_keys_DK.T.contiguous()


class _Weights:
    """The gradient with respect to a tile's logits: each exponential's share in its sums, weighted."""

    def __init__(self, found: Sums, row_gradient_A: Tensor, column_gradient_K: Tensor | None) -> None:
        self._shift = found.shift
        self._row_A = row_gradient_A
        self._column_K = column_gradient_K
        self._row_sum_A = _infinite(found.rows)
        self._column_sum_K = None if found.columns is None else _infinite(found.columns)
        if found.shift is not None:
            self._row_A = row_gradient_A * (found.shift - self._row_sum_A).exp2_()
            if column_gradient_K is not None and self._column_sum_K is not None:
                self._column_K = column_gradient_K * (found.shift - self._column_sum_K).exp2_()

    def __call__(self, tile_RC: Tensor, rows: slice, columns: slice, *, powers: bool) -> Tensor:
        """A new (R, C) tile from one of logits, or with ``powers`` from one that was kept."""
        if self._shift is None:
            return self._from_logits(tile_RC, rows, columns)
        power_RC = tile_RC if powers else _shifted(tile_RC, self._shift).exp2_()
        if self._column_K is None:
            return power_RC * self._row_A[rows, None]
        return (self._row_A[rows, None] + self._column_K[None, columns]).mul_(power_RC)

    def _from_logits(self, tile_RC: Tensor, rows: slice, columns: slice) -> Tensor:
        weight_RC = (tile_RC - self._row_sum_A[rows, None]).exp2_().mul_(self._row_A[rows, None])
        if self._column_K is None or self._column_sum_K is None:
            return weight_RC
        share_RC = (tile_RC - self._column_sum_K[None, columns]).exp2_()
        return weight_RC.addcmul_(share_RC, self._column_K[None, columns])


def _shifted(tile_RC: Tensor, shift: float) -> Tensor:
    return tile_RC.sub_(shift) if shift else tile_RC


def _in_range(sum_N: Tensor) -> bool:
    if sum_N.shape[0] == 0:
        return True
    low, high = sum_N.aminmax()
    return bool(low >= _BOTTOM) and bool(high < torch.inf)


def _nothing(like: Tensor, count: int) -> Tensor:
    return like.new_full((count,), -torch.inf)


def _log2_sum(tile_RC: Tensor) -> Tensor:
    """log₂ Σ 2^x along dim 1."""
    top_R = _finite(tile_RC.amax(dim=1))
    return (tile_RC - top_R[:, None]).exp2_().sum(dim=1).log2_() + top_R


def _add(left: Tensor, right: Tensor) -> Tensor:
    return torch.logaddexp2(left, right)


def _finite(logs: Tensor) -> Tensor:
    """−∞ replaced by 0, so that −∞ minus it is −∞ and no NaN."""
    return logs.masked_fill(logs == -torch.inf, 0.0)


def _infinite(logs: Tensor) -> Tensor:
    """−∞ replaced by +∞: an empty sum, in which nothing has a share."""
    return logs.masked_fill(logs == -torch.inf, torch.inf)
