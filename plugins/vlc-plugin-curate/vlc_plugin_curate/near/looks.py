"""Which images of two collections look alike: pairs of rows by the hashes of their fingerprints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.hamming import Near, in_order, joined, pairs_within
from vlc_plugin_curate.near.phash import BITS, INNER, UNFRAMED, VARIANTS, WHOLE

RADIUS = 10
"""Bits of 64 in which near-duplicates may differ. Different pictures differ in 32, give or take 4."""

FINER = 8
"""So many times as many of the fine hash's 256: twice the share, as crops need. It tells chance apart from copies."""

_BLOCK = 1 << 18

_COMPARED = (
    *((WHOLE, variant) for variant in range(VARIANTS)),
    (UNFRAMED, WHOLE),
    (INNER, WHOLE),
    (UNFRAMED, UNFRAMED),
)
"""Which hash of the left with which of the right: a copy may be the part of a picture, or the picture that was cut."""


def near_looks(left: Fingerprints, right: Fingerprints, radius: int = RADIUS) -> Near:
    """The pairs of rows whose looks differ in at most ``radius`` bits, and in 8 × ``radius`` of the fine hash's 256.

    Flat and unreadable images have none.
    """
    pieces = []
    for a, b in _COMPARED:
        at_left, at_right = _with(left, a), _with(right, b)
        near = pairs_within(left.rows["hashes"][at_left, a], right.rows["hashes"][at_right, b], radius)
        pieces.append(Near(at_left[near.left], at_right[near.right], near.distance))
    near = in_order(joined(pieces))
    sure = np.concatenate([_confirmed(left, right, some, radius) for some in _blocks(near)] or [np.zeros(0, bool)])
    return Near(near.left[sure], near.right[sure], near.distance[sure])


def distances(left: NDArray[np.void], right: NDArray[np.void]) -> NDArray[np.uint8]:
    """Bits in which the rows of ``left`` and ``right`` (P,) differ, pair by pair: (P,) uint8."""
    least = np.full(len(left), BITS, np.uint8)
    for a, b in _COMPARED:
        least = np.minimum(least, np.bitwise_count(left["hashes"][:, a] ^ right["hashes"][:, b]))
    return least


def _confirmed(left: Fingerprints, right: Fingerprints, near: Near, radius: int) -> NDArray[np.bool_]:
    """Which pairs are near by their fine hashes too, (P,)."""
    fine_left, fine_right = left.rows["fine"][near.left], right.rows["fine"][near.right]
    sure = np.zeros(len(near.left), bool)
    for a, b in _COMPARED:
        bits = np.bitwise_count(fine_left[:, a] ^ fine_right[:, b]).sum(axis=1, dtype=np.int64)
        sure |= bits <= FINER * radius
    return sure


def _blocks(near: Near) -> Iterator[Near]:
    for start in range(0, len(near.left), _BLOCK):
        some = slice(start, start + _BLOCK)
        yield Near(near.left[some], near.right[some], near.distance[some])


def _with(prints: Fingerprints, variant: int) -> NDArray[np.int64]:
    """The comparable rows that have a hash of their own for a part of the picture."""
    rows = prints.comparable
    if variant != UNFRAMED:
        return rows
    hashes = prints.rows["hashes"][rows]
    own: NDArray[np.int64] = rows[hashes[:, UNFRAMED] != hashes[:, WHOLE]]
    return own
