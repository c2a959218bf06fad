"""Sums over tiles and their gradients by Triton kernels and cuBLAS: what CUDA runs.

Tiles of the matrix are finished in registers; only in the backward pass does a panel of weights, in the type
of the inputs, lie in memory for the two products that follow. The host reads nothing back, so it runs ahead
of the device.

Shapes: A anchors, K keys, D width, R × C a panel.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vlc_core.contrast.sums import Sums, no_sums, raised
from vlc_core.contrast.tiles import LOG2_E, Groups, blocks

PANEL = 8192  # 128 MiB of weights in bfloat16, and matrix products that fill a large GPU
_GROUP = 8
_LN_2 = math.log(2.0)


@cache
def available() -> bool:
    """Whether Triton is installed; torch's CUDA builds for Linux bring it."""
    return importlib.util.find_spec("triton") is not None


@dataclass(frozen=True, slots=True)
class Panels:
    """The matrix of similarities, of which only panels of weights ever exist.

    Attributes:
        anchors: (A, D) float32, bfloat16 or float16.
        keys: (K, D) of the same type.
        bound: (3,) float32 on the device: scale · log₂e, the fixed shift, and 1 where that is safe, else 0.
        groups: Which pairs are left out, (A,) and (K,), or None.
    """

    anchors: Tensor
    keys: Tensor
    bound: Tensor
    groups: Groups | None

    @classmethod
    def of(cls, anchors: Tensor, keys: Tensor, scale: Tensor | float, groups: Groups | None) -> Panels:
        """Takes both sides in their common type."""
        common = torch.promote_types(anchors.dtype, keys.dtype)
        anchors, keys = anchors.to(common).contiguous(), keys.to(common).contiguous()
        if groups is not None:
            groups = (groups[0].contiguous(), groups[1].contiguous())
        return cls(anchors, keys, _bound(anchors, keys, scale), groups)

    def sums(self, *, both: bool = False, means: bool = False, keep: bool = False) -> Sums:
        """As ``chunked.sums``; nothing is ever kept, and means take a second walk."""
        found = Sums(no_sums(self.anchors.shape[0], self.bound))
        if both:
            found.columns = no_sums(self.keys.shape[0], self.bound)
        for rows in blocks(self.anchors.shape[0], PANEL):
            for columns in blocks(self.keys.shape[0], PANEL):
                row_R, column_C = self._panel_sums(rows, columns, both)
                found.rows[rows] = torch.logaddexp2(found.rows[rows], row_R)
                if found.columns is not None and column_C is not None:
                    found.columns[columns] = torch.logaddexp2(found.columns[columns], column_C)
        if means:
            found.means, _ = self.gradients(found, torch.ones_like(found.rows), None, to_anchors=True, to_keys=False)
        return found

    def gradients(
        self, found: Sums, rows: Tensor, columns: Tensor | None, *, to_anchors: bool, to_keys: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """As ``chunked.gradients``."""
        to_anchors_AD = self.anchors.new_zeros(self.anchors.shape, dtype=torch.float32) if to_anchors else None
        to_keys_KD = self.keys.new_zeros(self.keys.shape, dtype=torch.float32) if to_keys else None
        unit = _unit(rows, columns) if self.anchors.dtype == torch.float16 else None
        walk = _Coefficients.of(found, rows, columns, unit)
        with _exact_products(self.anchors):
            for r in blocks(self.anchors.shape[0], PANEL):
                for c in blocks(self.keys.shape[0], PANEL):
                    weight_RC = self._panel_weights(r, c, walk)
                    if to_anchors_AD is not None:
                        to_anchors_AD[r] += _wide_product(weight_RC, self.keys[c])
                    if to_keys_KD is not None:
                        to_keys_KD[c] += _wide_product(weight_RC.T, self.anchors[r])
        for gradient in (to_anchors_AD, to_keys_KD):
            if gradient is not None and unit is not None:
                gradient *= unit
        return to_anchors_AD, to_keys_KD

    def _panel_sums(self, rows: slice, columns: slice, both: bool) -> tuple[Tensor, Tensor | None]:
        shape = _tile_shape(self.anchors)
        count_r, count_c = rows.stop - rows.start, columns.stop - columns.start
        row_parts = self.bound.new_empty(-(-count_c // shape["BLOCK_N"]), count_r)
        column_parts = self.bound.new_empty(-(-count_r // shape["BLOCK_M"]) if both else 1, count_c)
        self._launch("sums_kernel", rows, columns, (row_parts, column_parts), both)
        return _log2_sum(row_parts), _log2_sum(column_parts) if both else None

    def _panel_weights(self, rows: slice, columns: slice, coefficients: _Coefficients) -> Tensor:
        weight_RC = self.anchors.new_empty(rows.stop - rows.start, columns.stop - columns.start)
        given = (*coefficients.of_panel(rows, columns), weight_RC)
        self._launch("weights_kernel", rows, columns, given, coefficients.both)
        return weight_RC

    def _launch(self, name: str, rows: slice, columns: slice, tensors: tuple[Tensor, ...], both: bool) -> None:
        anchors_RD, keys_CD = self.anchors[rows], self.keys[columns]
        groups = (anchors_RD, keys_CD) if self.groups is None else (self.groups[0][rows], self.groups[1][columns])
        shape = _tile_shape(self.anchors)
        tiles = -(-anchors_RD.shape[0] // shape["BLOCK_M"]) * -(-keys_CD.shape[0] // shape["BLOCK_N"])
        kernel: Any = getattr(_kernels(), name)
        kernel[(tiles,)](
            anchors_RD,
            keys_CD,
            *groups,
            self.bound,
            *tensors,
            anchors_RD.shape[0],
            keys_CD.shape[0],
            WIDTH=anchors_RD.shape[1],
            BOTH=both,
            EXCLUDE=self.groups is not None,
            GROUP=_GROUP,
            **shape,
        )


@dataclass(frozen=True, slots=True)
class _Coefficients:
    """What the weights of all panels are made of: each side's log₂ sums and incoming gradients."""

    row_sum: Tensor
    row_gradient: Tensor
    column_sum: Tensor | None
    column_gradient: Tensor | None

    @classmethod
    def of(cls, found: Sums, rows: Tensor, columns: Tensor | None, unit: Tensor | None) -> _Coefficients:
        incoming = [None if g is None else (g if unit is None else g / unit).contiguous() for g in (rows, columns)]
        assert incoming[0] is not None
        column_sum = None if found.columns is None else raised(found.columns)
        return cls(raised(found.rows), incoming[0], column_sum, incoming[1])

    @property
    def both(self) -> bool:
        return self.column_gradient is not None

    def of_panel(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """In the order of the kernel's arguments; it does not read the last two where only rows were summed."""
        row = (self.row_sum[rows], self.row_gradient[rows])
        if self.column_sum is None or self.column_gradient is None:
            return *row, *row
        return *row, self.column_sum[columns], self.column_gradient[columns]


def _unit(rows: Tensor, columns: Tensor | None) -> Tensor:
    """The greatest incoming gradient: what float16 weights are measured in, lest they fall under its range."""
    greatest = [g.abs().amax() for g in (rows, columns) if g is not None and g.shape[0] > 0]
    unit = torch.stack(greatest).amax() if greatest else rows.new_ones(())
    return torch.where(unit > 0, unit, 1.0)


@cache
def _kernels() -> ModuleType:
    from vlc_core.contrast import triton_kernels

    return triton_kernels


def _bound(anchors: Tensor, keys: Tensor, scale: Tensor | float) -> Tensor:
    """The factor of the similarities, the fixed shift, and whether it is safe: on the device, and never read back.

    No logit is greater than the factor times the two longest rows. Its exponential must neither overflow in a
    sum nor, negated, fall under the least normal number, since the device rounds what lies below to zero.
    """
    given = scale.detach() if isinstance(scale, Tensor) else torch.tensor(float(scale))
    factor = given.reshape(()).to(anchors.device, torch.float32) * LOG2_E
    longest = [x.float().norm(dim=1).amax() if x.shape[0] else factor.new_zeros(()) for x in (anchors, keys)]
    span = factor.abs() * longest[0] * longest[1]
    room = math.log2(max(2, anchors.shape[0], keys.shape[0]))
    shift = (span + room - 126.0).clamp_min(0.0)
    return torch.stack([factor, shift, (span + shift <= 126.0).float()])


def _log2_sum(parts_NA: Tensor) -> Tensor:
    return torch.logsumexp(parts_NA * _LN_2, dim=0) / _LN_2


def _wide_product(left_RC: Tensor, right_CD: Tensor) -> Tensor:
    """left · right in float32."""
    if left_RC.is_cuda and left_RC.dtype != torch.float32:
        return torch.mm(left_RC, right_CD, out_dtype=torch.float32)
    return torch.mm(left_RC.float(), right_CD.float())


@contextmanager
def _exact_products(x: Tensor) -> Iterator[None]:
    """float32 products of float32 matrices, whatever TF32 setting the encoders run with."""
    if not x.is_cuda or x.dtype != torch.float32:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _tile_shape(x: Tensor) -> dict[str, int]:
    """Rows, columns and width of a step of a kernel; float32 has no tensor cores to feed without rounding."""
    if x.dtype == torch.float32:
        return {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_D": 32, "num_warps": 4, "num_stages": 2}
    return {"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_D": 64, "num_warps": 8, "num_stages": 3}
