"""What anchors have to do with their own keys, and what is added to the gradients row by row.

Rows are visited a block at a time, which the processor's caches hold: at a thousand rows, going over whole tensors
again and asking for memory would cost more than what is computed.

Shapes: A this rank's anchors, K all keys, N rows of either, C classes, D width, R rows of a block.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vlc_core.contrast.tiles import blocks

BLOCK = 128
"""Rows of a block: a quarter of a MiB at 512 wide."""


class RowsOf(NamedTuple):
    """A matrix of (N, D) of which only the rows that differ are held.

    Attributes:
        table: (C, D).
        number: (N,) int64, which row of the table each of them is.
    """

    table: Tensor
    number: Tensor

    def at(self, rows: slice) -> RowsOf:
        """Some of the N rows."""
        return RowsOf(self.table, self.number[rows])

    def subtract_from(self, x_ND: Tensor) -> None:
        """x −= all rows."""
        for rows in blocks(x_ND.shape[0], BLOCK):
            x_ND[rows].sub_(self.table.index_select(0, self.number[rows]))


def own_products(anchors_AD: Tensor, keys_AD: Tensor, wide: torch.dtype) -> Tensor:
    """anchorᵢ · its own key, (A,) of the type ``wide``."""
    product_A = anchors_AD.new_empty(anchors_AD.shape[0], dtype=wide)
    for rows in blocks(anchors_AD.shape[0], BLOCK):
        product_A[rows] = (anchors_AD[rows].to(wide) * keys_AD[rows].to(wide)).sum(dim=1)
    return product_A


def add_own(to_AD: Tensor, other_AD: Tensor, gradient_A: Tensor, less: RowsOf | None) -> None:
    """Adds gradientᵢ · other side's rowᵢ, and subtracts the rows of ``less`` where they lie in the caches anyway."""
    for rows in blocks(to_AD.shape[0], BLOCK):
        to_RD = to_AD[rows].addcmul_(gradient_A[rows, None], other_AD[rows].to(to_AD.dtype))
        if less is not None:
            less.at(rows).subtract_from(to_RD)
