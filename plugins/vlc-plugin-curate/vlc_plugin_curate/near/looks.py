"""Which images of two collections look alike: pairs of rows by the hashes of their fingerprints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.hamming import Near, in_order, joined, pairs_within
from vlc_plugin_curate.near.phash import BITS, INNER, UNFRAMED, VARIANTS, WHOLE

RADIUS = 10
"""Bits of 64: of 245,000 pairs of different photographs none was as close, of copies cut by 5 % at random 98 % were."""

_COMPARED = (
    *((WHOLE, variant) for variant in range(VARIANTS)),
    (UNFRAMED, WHOLE),
    (INNER, WHOLE),
    (UNFRAMED, UNFRAMED),
)
"""Which hash of the left with which of the right: a copy may be the part of a picture, or the picture that was cut."""


def near_looks(left: Fingerprints, right: Fingerprints, radius: int = RADIUS) -> Near:
    """The pairs of rows whose looks differ in at most ``radius`` bits; flat and unreadable images have none."""
    pieces = []
    for a, b in _COMPARED:
        at_left, at_right = _with(left, a), _with(right, b)
        near = pairs_within(left.rows["hashes"][at_left, a], right.rows["hashes"][at_right, b], radius)
        pieces.append(Near(at_left[near.left], at_right[near.right], near.distance))
    return in_order(joined(pieces))


def distances(left: NDArray[np.void], right: NDArray[np.void]) -> NDArray[np.uint8]:
    """Bits in which the rows of ``left`` and ``right`` (P,) differ, pair by pair: (P,) uint8."""
    least = np.full(len(left), BITS, np.uint8)
    for a, b in _COMPARED:
        least = np.minimum(least, np.bitwise_count(left["hashes"][:, a] ^ right["hashes"][:, b]))
    return least


def _with(prints: Fingerprints, variant: int) -> NDArray[np.int64]:
    """The comparable rows that have a hash of their own for a part of the picture."""
    rows = prints.comparable
    if variant != UNFRAMED:
        return rows
    hashes = prints.rows["hashes"][rows]
    return rows[hashes[:, UNFRAMED] != hashes[:, WHOLE]]
