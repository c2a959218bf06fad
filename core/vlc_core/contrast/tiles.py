"""The matrix of similarities, of which only tiles ever exist.

Shapes: A anchors, K keys, D width, R × C a tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vlc_core.products import product, rounded

LOG2_E = math.log2(math.e)
TILE_ROWS = 512
TILE_ELEMENTS = 1 << 19  # 2 MiB of float32: two tiles lie in the second-level caches of two cores
FEW = 64
"""Keys up to which the number is left as it is."""
Groups = tuple[Tensor, Tensor]


def blocks(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size`` that cover ``count``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


@dataclass(frozen=True, slots=True)
class Similarities:
    """log₂e · scale · anchorᵢ · keyⱼ, tile by tile: logarithms to base 2, since exp2 is cheaper than exp.

    Attributes:
        anchors: (A, D) of any floating-point type.
        keys: (K, D), likewise.
        factor: scale · log₂e.
        wide: The type of tiles and sums, float32 or float64; half-precision rows are brought to it, without loss, a
            block at a time.
        excluded: Which pairs are left out, or None.
        real: How many of the keys are real; zeros after them make the number a round one (:func:`rounded`).
    """

    anchors: Tensor
    keys: Tensor
    factor: float
    wide: torch.dtype
    excluded: Excluded | None
    real: int

    @classmethod
    def of(cls, anchors: Tensor, keys: Tensor, scale: float, groups: Groups | None) -> Similarities:
        """Finds the type, and sorts the groups if there are any."""
        wide = torch.promote_types(torch.promote_types(anchors.dtype, keys.dtype), torch.float32)
        rows, columns = tile_shape(anchors.shape[0])
        excluded = None if groups is None else Excluded(*groups, rows=rows, columns=columns)
        real = keys.shape[0]
        padded_KD = F.pad(keys, (0, 0, 0, rounded(real) - real)) if real > FEW else keys.contiguous()
        return cls(anchors.contiguous(), padded_KD, scale * LOG2_E, wide, excluded, real)

    def zeros(self, *shape: int) -> Tensor:
        """A tensor for sums over tiles."""
        return self.anchors.new_zeros(shape, dtype=self.wide)

    @property
    def shape(self) -> tuple[int, int]:
        """(A, K), zeros after the real keys counted."""
        return self.anchors.shape[0], self.keys.shape[0]

    def strips(self) -> Iterator[tuple[slice, Tensor]]:
        """The anchors of each row of tiles, scaled."""
        for rows in blocks(self.shape[0], tile_shape(self.shape[0])[0]):
            yield rows, self.anchors[rows].to(self.wide) * self.factor

    def columns(self) -> Iterator[slice]:
        """The keys of each column of tiles."""
        return blocks(self.shape[1], tile_shape(self.shape[0])[1])

    def tile(self, scaled_RD: Tensor, rows: slice, columns: slice) -> Tensor:
        """A new (R, C) tile of base-2 logits, −∞ at excluded pairs and where there is no key."""
        tile_RC = product(scaled_RD, self.keys[columns].to(self.wide))
        if columns.stop > self.real:
            tile_RC[:, max(0, self.real - columns.start) :] = -torch.inf
        if self.excluded is not None:
            self.excluded.fill(tile_RC, rows, columns)
        return tile_RC


def tile_shape(anchors: int) -> tuple[int, int]:
    """How many rows and columns a tile has at most; few anchors make it wider."""
    rows = max(1, min(anchors, TILE_ROWS))
    return rows, max(TILE_ELEMENTS // rows // 64 * 64, 64)


class Excluded:
    """The pairs whose anchor and key are of one group.

    The keys of every column of tiles are sorted by group once, so that a tile finds its pairs by binary
    search.
    """

    def __init__(self, anchor_group: Tensor, key_group: Tensor, *, rows: int, columns: int) -> None:
        self._anchor_group = anchor_group
        self._anchor_range = [_range(anchor_group[s]) for s in blocks(anchor_group.shape[0], rows)]
        self._sorted = [key_group[s].sort() for s in blocks(key_group.shape[0], columns)]
        self._key_range = [_range(values) for values, _ in self._sorted]
        self._rows, self._columns = rows, columns

    def fill(self, tile_RC: Tensor, rows: slice, columns: slice) -> None:
        """Writes −∞ into the tile where its pairs are excluded."""
        i, j = rows.start // self._rows, columns.start // self._columns
        (low, high), (first, last) = self._anchor_range[i], self._key_range[j]
        if high < first or last < low:
            return
        groups_C, order_C = self._sorted[j]
        anchors_R = self._anchor_group[rows].contiguous()
        start_R = torch.searchsorted(groups_C, anchors_R)
        count_R = torch.searchsorted(groups_C, anchors_R, right=True) - start_R
        row_P = torch.repeat_interleave(count_R)
        within_P = torch.arange(row_P.shape[0], device=row_P.device) - (count_R.cumsum(0) - count_R)[row_P]
        tile_RC[row_P, order_C[start_R[row_P] + within_P]] = -torch.inf


def _range(groups: Tensor) -> tuple[int, int]:
    low, high = groups.aminmax()
    return int(low), int(high)
