"""All pairs of 64-bit hashes that differ in few bits: by looking at all, or by the parts that must be alike.

Where hashes are cut into four parts of 16 bits, two that differ in at most r bits differ in at most r // 4 in one of
them. Looking those up finds every pair, and looks at a hundredth of all. Shapes: N left, M right, P pairs.

Source: Norouzi, Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEW = 1 << 27
"""Pairs (N × M) up to which all are looked at; beyond, that is what takes longer."""

MOST = 16
"""Bits of difference up to which looking up parts pays; beyond it all pairs are looked at."""

_PARTS, _PART_BITS = 4, 16
_BLOCK = 1 << 22  # candidates compared at once: 32 MB of hashes
_ROWS = 256

Hashes = NDArray[np.uint64]


class Near(NamedTuple):
    """Pairs in the order of left, then right.

    Attributes:
        left: (P,) int64, which of the left ones.
        right: (P,) int64, which of the right ones.
        distance: (P,) uint8, bits in which they differ.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    distance: NDArray[np.uint8]


def pairs_within(left: Hashes, right: Hashes, radius: int) -> Near:
    """Every pair of ``left`` (N,) and ``right`` (M,) that differs in at most ``radius`` bits."""
    if len(left) > len(right):  # the shorter side asks: every one that asks looks up hundreds of parts
        found = pairs_within(right, left, radius)
        return in_order(Near(found.right, found.left, found.distance))
    if len(left) == 0:
        return _none()
    by_parts = len(left) * len(right) > FEW and radius < MOST
    return in_order(joined(_by_parts(left, right, radius) if by_parts else _all(left, right, radius)))


def joined(pieces: Iterator[Near] | list[Near]) -> Near:
    """All pairs of several pieces."""
    found = list(pieces) or [_none()]
    return Near(*(np.concatenate(column) for column in zip(*found, strict=True)))


def in_order(near: Near) -> Near:
    """Each pair once, with its least distance, in the order of left, then right."""
    order = np.lexsort((near.distance, near.right, near.left))
    near = Near(near.left[order], near.right[order], near.distance[order])
    first = np.ones(len(near.left), bool)
    first[1:] = (np.diff(near.left) != 0) | (np.diff(near.right) != 0)
    return Near(near.left[first], near.right[first], near.distance[first])


def _none() -> Near:
    return Near(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))


def _all(left: Hashes, right: Hashes, radius: int) -> Iterator[Near]:
    columns = _BLOCK // _ROWS
    for start in range(0, len(left), _ROWS):
        rows = left[start : start + _ROWS, None]
        for first in range(0, len(right), columns):
            distance = np.bitwise_count(rows ^ right[None, first : first + columns])
            at_row, at_column = np.nonzero(distance <= radius)
            yield Near(at_row + start, at_column + first, distance[at_row, at_column])


def _by_parts(left: Hashes, right: Hashes, radius: int) -> Iterator[Near]:
    for part in range(_PARTS):
        # One of the parts differs in less than its share: were all of them at their share, the sum would be above it.
        most = (radius - part) // _PARTS
        if most >= 0:
            yield from _by_part(left, right, radius, part, _flips(most))


def _by_part(left: Hashes, right: Hashes, radius: int, part: int, flips: NDArray[np.int64]) -> Iterator[Near]:
    values = _part_of(right, part)
    order = np.argsort(values, kind="stable")
    sorted_right = right[order]
    starts = np.searchsorted(values[order], np.arange((1 << _PART_BITS) + 1))
    asked = _part_of(left, part)
    step = max(1, _BLOCK // len(flips))
    for start in range(0, len(left), step):
        probes = (asked[start : start + step, None] ^ flips[None]).reshape(-1)
        low, counts = starts[probes], starts[probes + 1] - starts[probes]
        row = np.repeat(np.arange(start, min(start + step, len(left))), len(flips))
        for some in _blocks(counts):
            yield _compared(left, sorted_right, order, row[some], low[some], counts[some], radius)


def _compared(
    left: Hashes,
    sorted_right: Hashes,
    order: NDArray[np.int64],
    row: NDArray[np.int64],
    low: NDArray[np.int64],
    counts: NDArray[np.int64],
    radius: int,
) -> Near:
    """The pairs among candidates: for each entry ``row`` of the left, ``counts`` of the right from ``low`` on."""
    before = np.cumsum(counts) - counts
    at = np.arange(int(counts.sum())) + np.repeat(low - before, counts)
    rows = np.repeat(row, counts)
    distance = np.bitwise_count(left[rows] ^ sorted_right[at])
    near = distance <= radius
    return Near(rows[near], order[at[near]], distance[near])


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Runs of probes with so many candidates together as are compared at once."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        base = ends[start] - counts[start]
        stop = max(start + 1, int(np.searchsorted(ends, base + _BLOCK, side="right")))
        yield slice(start, stop)
        start = stop


def _part_of(hashes: Hashes, part: int) -> NDArray[np.int64]:
    shifted = hashes >> np.uint64(_PART_BITS * part)
    return (shifted & np.uint64((1 << _PART_BITS) - 1)).astype(np.int64)


def _flips(most: int) -> NDArray[np.int64]:
    """Every number of 16 bits with at most ``most`` ones."""
    places = [c for ones in range(most + 1) for c in combinations(range(_PART_BITS), ones)]
    return np.array([sum(1 << place for place in chosen) for chosen in places], np.int64)
