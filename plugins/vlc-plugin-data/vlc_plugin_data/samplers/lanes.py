"""Shards in a random order, read in several places at once, a block at a time: pure functions of the position."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vlc_core.interfaces.sampler import Int64Array
from vlc_core.loading.order import fold, permute, pick


class Line(NamedTuple):
    """All samples of one epoch, shard after shard in a random order, begun at a random place of the ring.

    Attributes:
        ends: (S,) where the samples of each shard end in the ring.
        shifts: (S,) what is added to a place in the ring to get the sample's index.
        start: Where in the ring the line begins.
    """

    ends: Int64Array
    shifts: Int64Array
    start: int

    def indices(self, places: Int64Array) -> Int64Array:
        """The samples at ``places`` (N,) of the line."""
        total = self.ends[-1]
        ring = (places + self.start) % total
        indices: Int64Array = ring + self.shifts[np.searchsorted(self.ends, ring, side="right")]
        return indices


def lay(sizes: Int64Array, *key: int) -> Line:
    """The line that ``key`` gives.

    Args:
        sizes: (S,) samples of each shard, in the order of their indices.
        key: Integers that fix the order.
    """
    order = permute(np.arange(len(sizes), dtype=np.int64), len(sizes), *key)
    ends = np.cumsum(sizes[order])
    firsts = np.cumsum(sizes) - sizes
    return Line(ends, firsts[order] - (ends - sizes[order]), pick(int(ends[-1]), fold(*key)))


def interleave(positions: Int64Array, samples: int, lanes: int, block: int) -> Int64Array:
    """The place in the line that each position of an epoch reads.

    The line is cut into equal lanes. They take turns, each with ``block`` samples; what is left of them in the end
    comes lane by lane.

    Args:
        positions: (N,) in 0…samples-1.
        samples: The length of the line.
        lanes: At most so many; fewer where a lane would be shorter than a block.
        block: Samples of a lane in one turn.

    Returns:
        (N,) places, a permutation of the positions.
    """
    lanes = min(lanes, max(1, samples // block))
    borders = samples * np.arange(lanes + 1, dtype=np.int64) // lanes
    taken = samples // lanes // block * block  # of each lane, in whole turns
    turns, rest = np.divmod(positions, lanes * block)
    slots, offsets = np.divmod(rest, block)
    in_turn = borders[slots] + turns * block + offsets
    left_over = np.cumsum(np.diff(borders) - taken)
    behind = np.maximum(positions - lanes * taken, 0)
    lane = np.minimum(np.searchsorted(left_over, behind, side="right"), lanes - 1)
    at_the_end = borders[lane + 1] - left_over[lane] + behind
    places: Int64Array = np.where(positions < lanes * taken, in_turn, at_the_end)
    return places
