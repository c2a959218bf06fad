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
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.contrast.sums import Sums, lowered, no_sums, raised
from vlc_core.contrast.tiles import Groups, Similarities
from vlc_core.products import product

KEPT_BYTES = 64 << 20  # 4096² of float32
_TOP = 126.0  # exponents of float32 end at 127
_BOTTOM = 2.0**-100  # below it, a sum may have lost terms that count


@dataclass(frozen=True, slots=True)
class Chunks:
    """The walks over the tiles of one matrix of similarities.

    Attributes:
        similarities: Their tiles.
        low: The type that tiles are rounded to before the products of the backward pass: that of the inputs,
            where the processor multiplies it faster than float32.
    """

    similarities: Similarities
    low: torch.dtype

    @classmethod
    def of(cls, anchors: Tensor, keys: Tensor, scale: Tensor | float, groups: Groups | None) -> Chunks:
        """Reads the scale, which is free on the CPU."""
        common = torch.promote_types(anchors.dtype, keys.dtype)
        low = common if common == torch.bfloat16 else torch.promote_types(common, torch.float32)
        return cls(Similarities.of(anchors, keys, float(scale), groups), low)

    def sums(self, *, both: bool = False, means: bool = False, keep: bool = False) -> Sums:
        """Walks over all tiles once.

        Args:
            both: Also sum over the anchors for each key.
            means: Also form each anchor's mean key.
            keep: Keep the tiles for :meth:`gradients`, if they fit :data:`KEPT_BYTES`.
        """
        s = self.similarities
        kept = keep and s.shape[0] * s.shape[1] * s.wide.itemsize <= KEPT_BYTES
        shift = _fixed_shift(s)
        found = None if shift is None else _fixed(s, shift, both=both, means=means, keep=kept)
        found = _running(s, both=both, means=means, keep=kept) if found is None else found
        if found.columns is not None:
            found.columns = found.columns[: s.real]
        return found

    def gradients(
        self, found: Sums, rows: Tensor, columns: Tensor | None, *, to_anchors: bool, to_keys: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients with respect to scale · anchors, (A, D), and scale · keys, (K, D), where they are wanted.

        Args:
            found: What :meth:`sums` gave, its ``columns`` possibly summed over ranks since.
            rows: (A,), what comes in for each anchor's natural log-sum.
            columns: (K,), what comes in for each key's, or None where none was asked for.
            to_anchors: Whether the first result is wanted.
            to_keys: Whether the second is.
        """
        s = self.similarities
        weigh = _Weights(found, rows, columns, s.shape[1] - s.real)
        to_anchors_AD = s.zeros(*s.anchors.shape) if to_anchors else None
        to_keys_DK = s.zeros(*s.keys.shape[::-1]) if to_keys else None
        kept = None if found.kept is None else iter(found.kept)
        for r, scaled_RD in s.strips():
            anchors_DR = s.anchors[r].to(self.low).T.contiguous()
            for c in s.columns():
                tile_RC = s.tile(scaled_RD, r, c) if kept is None else next(kept)
                weight_RC = weigh(tile_RC, r, c, powers=kept is not None).to(self.low)
                if to_anchors_AD is not None:
                    to_anchors_AD[r] += product(weight_RC, s.keys[c].to(self.low).T)
                if to_keys_DK is not None:
                    to_keys_DK[:, c] += product(anchors_DR, weight_RC.T)
        return to_anchors_AD, None if to_keys_DK is None else to_keys_DK[:, : s.real].T.contiguous()


def _fixed_shift(s: Similarities) -> float | None:
    span = abs(s.factor)
    shift = max(0.0, span + math.log2(max(2, *s.shape)) - _TOP)
    return shift if span - shift < _TOP and -span - shift > -2 * _TOP + 24 else None


def _fixed(s: Similarities, shift: float, *, both: bool, means: bool, keep: bool) -> Sums | None:
    """The sums by one shift, or None where a sum left the range."""
    row_A, column_K = s.zeros(s.shape[0]), s.zeros(s.shape[1])
    mean_AD = s.zeros(*s.anchors.shape) if means else None
    kept: list[Tensor] | None = [] if keep else None
    for rows, scaled_RD in s.strips():
        for columns in s.columns():
            tile_RC = s.tile(scaled_RD, rows, columns)
            power_RC = _shifted(tile_RC, shift).exp2_()
            row_A[rows] += power_RC.sum(dim=1)
            if both:
                column_K[columns] += power_RC.sum(dim=0)
            if mean_AD is not None:
                mean_AD[rows] += product(power_RC, s.keys[columns].to(s.wide).T)
            if kept is not None:
                kept.append(power_RC)
    if not (_in_range(row_A) and (not both or _in_range(column_K[: s.real]))):
        return None
    if mean_AD is not None:
        mean_AD /= row_A[:, None]
    return Sums(row_A.log2() + shift, column_K.log2() + shift if both else None, mean_AD, shift, kept)


def _running(s: Similarities, *, both: bool, means: bool, keep: bool) -> Sums:
    """The sums relative to running maxima, right at any scale."""
    rows_A, columns_K = no_sums(s.shape[0], s.zeros(0)), no_sums(s.shape[1], s.zeros(0))
    mean_AD = s.zeros(*s.anchors.shape) if means else None
    kept: list[Tensor] | None = [] if keep else None
    for rows, scaled_RD in s.strips():
        for columns in s.columns():
            tile_RC = s.tile(scaled_RD, rows, columns)
            if both:
                columns_K[columns] = torch.logaddexp2(columns_K[columns], _log2_sum(tile_RC.T))
            before_R, after_R = rows_A[rows], torch.logaddexp2(rows_A[rows], _log2_sum(tile_RC))
            if mean_AD is not None:
                top_R = lowered(after_R)
                mean_AD[rows] *= (before_R - top_R).exp2_()[:, None]
                mean_AD[rows] += product((tile_RC - top_R[:, None]).exp2_(), s.keys[columns].to(s.wide).T)
            rows_A[rows] = after_R
            if kept is not None:
                kept.append(tile_RC)
    return Sums(rows_A, columns_K if both else None, mean_AD, None, kept)


class _Weights:
    """The gradient with respect to a tile's logits: each exponential's share in its sums, weighted."""

    def __init__(self, found: Sums, row_gradient_A: Tensor, column_gradient_K: Tensor | None, beyond: int) -> None:
        """``beyond``: how many columns the tiles have beyond the real keys, whose weight is zero."""
        self._shift = found.shift
        self._row_A = row_gradient_A
        self._column_K = None if column_gradient_K is None else F.pad(column_gradient_K, (0, beyond))
        self._row_sum_A = raised(found.rows)
        self._column_sum_K = (
            None if found.columns is None else F.pad(raised(found.columns), (0, beyond), value=torch.inf)
        )
        if found.shift is not None:
            self._row_A = row_gradient_A * (found.shift - self._row_sum_A).exp2_()
            if self._column_K is not None and self._column_sum_K is not None:
                self._column_K = self._column_K * (found.shift - self._column_sum_K).exp2_()

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


def _log2_sum(tile_RC: Tensor) -> Tensor:
    """log₂ Σ 2^x along dim 1."""
    top_R = lowered(tile_RC.amax(dim=1))
    return (tile_RC - top_R[:, None]).exp2_().sum(dim=1).log2_() + top_R
