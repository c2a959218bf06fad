"""Random numbers and random order as pure functions of a key.

Nothing here has state: a permutation of 10⁹ samples takes no memory, and the generator of a sample's crop
is made from the sample's number when it is needed. Hashes are spelt out rather than taken from a library,
so an order stays the same over versions of numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vlc_core.interfaces.sampler import Int64Array

UInt64Array = NDArray[np.uint64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2⁶⁴ over the golden ratio: spreads consecutive keys
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_ROUNDS = 8
_FEW = 64  # parts up to this size are sorted for each of their samples, larger ones go through the network
_AT_ONCE = 1 << 18  # so many places are sorted at a time: 2 MiB
_OUTRIGHT = 1024  # smaller sets are sorted by hash: a network over a few bits reaches few of the permutations


class Purpose(IntEnum):
    """What a random number is for. Purposes of one sample never share a stream."""

    VIEW = 1
    TEXT = 2
    REDRAW = 3
    ORDER = 4


def rng(seed: int, number: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The generator of one purpose of one sample.

    Philox is a function of (key, counter): the seed is the key, the sample's number, purpose and index (of
    the view, say) are the upper words of the counter, so streams cannot overlap and making one costs 12 µs.

    Args:
        seed: Of the run.
        number: The sample's number.
        purpose: What is drawn.
        index: Tells several draws for one purpose apart.
    """
    counter = (number & _MASK) << 64 | int(purpose) << 128 | (index & _MASK) << 192
    return np.random.Generator(np.random.Philox(key=seed & _MASK, counter=counter))


def fold(*parts: int) -> int:
    """A 64-bit hash of a sequence of integers (SplitMix64's finaliser over a running sum)."""
    state = 0
    for part in parts:
        state = _mix_int(state ^ _mix_int((part + _GOLDEN) & _MASK)) + _GOLDEN & _MASK
    return _mix_int(state)


def pick(size: int, *key: int) -> int:
    """An integer in 0…size-1, uniform over keys and fixed by ``key``."""
    return fold(*key) * size >> 64


def redraw(seed: int, number: int, attempt: int, size: int) -> int:
    """The index that takes the place of an unusable sample: f(seed, number, attempt) in 0…size-1."""
    return pick(size, seed, number, Purpose.REDRAW, attempt)


def shuffled(numbers: Int64Array, size: int, *key: int) -> Int64Array:
    """Sample numbers to indices, every index once in each run of ``size`` consecutive numbers (an epoch).

    Args:
        numbers: (N,) sample numbers ≥ 0.
        size: How many samples there are.
        key: Integers that fix the order; the epoch is added to them.

    Returns:
        (N,) indices in 0…size-1.
    """
    epochs, positions = np.divmod(numbers, size)
    found, which = np.unique(epochs, return_inverse=True)
    indices = np.empty_like(positions)
    at_once = max(1, _AT_ONCE // size) if size <= _OUTRIGHT else 1
    by_epoch = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[by_epoch], np.arange(0, len(found) + at_once, at_once))
    for first, start, end in zip(range(0, len(found), at_once), ends[:-1], ends[1:], strict=True):
        here = by_epoch[start:end]
        if size > _OUTRIGHT:
            indices[here] = permute(positions[here], size, *key, int(found[first]))
        else:
            keys = [(*key, epoch) for epoch in found[first : first + at_once].tolist()]
            indices[here] = _sorted_by_hash(size, keys)[which[here] - first, positions[here]]
    return indices


def shuffled_each(numbers: Int64Array, sizes: Int64Array, parts: Int64Array, *key: int) -> Int64Array:
    """As :func:`shuffled`, for numbers that count within parts of several sizes, all parts at once.

    Args:
        numbers: (N,) numbers ≥ 0 of samples in their part.
        sizes: (N,) how many samples each one's part has.
        parts: (N,) which part each one is in; parts have orders of their own.
        key: Integers that fix the orders.

    Returns:
        (N,) indices in the parts.
    """
    epochs, positions = np.divmod(numbers, sizes)
    starts = _mix(np.uint64(fold(*key)) + parts.astype(np.uint64) * np.uint64(_GOLDEN))
    starts = _mix(starts + epochs.astype(np.uint64) * np.uint64(_GOLDEN))
    places = np.empty_like(positions)
    few = np.flatnonzero(sizes <= _FEW)
    for here in np.array_split(few, 1 + len(few) * _FEW // _AT_ONCE):
        places[here] = _ranks(positions[here], sizes[here], starts[here])
    many = np.flatnonzero(sizes > _FEW)
    places[many] = _permute_each(positions[many], sizes[many], starts[many])
    return places


def _ranks(positions: Int64Array, sizes: Int64Array, starts: UInt64Array) -> Int64Array:
    """Each position's place when its part is sorted by hash; all of a part is hashed for each."""
    others = np.arange(int(sizes.max(initial=1)), dtype=np.int64)
    hashes = _mix(starts[:, None] + others.astype(np.uint64) * np.uint64(_GOLDEN))
    own = np.take_along_axis(hashes, positions[:, None], axis=1)
    places: Int64Array = ((hashes < own) & (others < sizes[:, None])).sum(axis=1, dtype=np.int64)
    return places


def _permute_each(positions: Int64Array, sizes: Int64Array, starts: UInt64Array) -> Int64Array:
    """As :func:`permute`, by the same walk, for sizes and keys of each position's own."""
    keys = _mix(starts + np.arange(1, _ROUNDS + 1, dtype=np.uint64)[:, None] * np.uint64(_GOLDEN))
    bits = np.ceil(np.log2(sizes)).astype(np.int64)
    out = _feistel(positions.astype(np.uint64), bits, keys)
    outside = np.flatnonzero(out >= sizes.astype(np.uint64))
    while outside.size:
        out[outside] = _feistel(out[outside], bits[outside], keys[:, outside])
        outside = outside[out[outside] >= sizes[outside].astype(np.uint64)]
    return out.astype(np.int64)


def permute(positions: Int64Array, size: int, *key: int) -> Int64Array:
    """Where a random permutation of 0…size-1 sends ``positions`` (N,), in memory independent of ``size``.

    A Feistel network permutes the next power of two, and what falls outside is sent through again until it
    falls inside (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, cycle walking):
    fewer than two passes on average.
    """
    if size <= _OUTRIGHT:
        places: Int64Array = _sorted_by_hash(size, [key])[0]
        return places[positions]
    keys = np.array([fold(*key, i) for i in range(_ROUNDS)], dtype=np.uint64)
    bits = (size - 1).bit_length()
    out = _feistel(positions.astype(np.uint64), bits, keys)
    outside = np.flatnonzero(out >= size)
    while outside.size:
        out[outside] = _feistel(out[outside], bits, keys)
        outside = outside[out[outside] >= size]
    return out.astype(np.int64)


def _sorted_by_hash(size: int, keys: Sequence[tuple[int, ...]]) -> Int64Array:
    """A permutation of 0…size-1 for each of K ``keys``: (K, size)."""
    starts = np.array([[fold(*key)] for key in keys], dtype=np.uint64)
    hashes = _mix(np.arange(size, dtype=np.uint64) * np.uint64(_GOLDEN) + starts)
    places: Int64Array = np.argsort(hashes, axis=1, kind="stable").astype(np.int64)
    return places


def _feistel(values: UInt64Array, bits: int | Int64Array, keys: UInt64Array) -> UInt64Array:
    """A keyed bijection of 0…2^bits-1: two halves take turns at masking each other.

    ``bits`` and the keys of the rounds are the same for all (N,) values, or (N,) and (rounds, N).
    """
    shift = np.asarray(bits // 2, dtype=np.uint64)
    low_mask = (np.uint64(1) << shift) - np.uint64(1)
    high_mask = (np.uint64(1) << np.asarray(bits - bits // 2, dtype=np.uint64)) - np.uint64(1)
    high, low = values >> shift, values & low_mask
    for i in range(0, _ROUNDS, 2):
        high = high ^ _mix(low + keys[i]) & high_mask
        low = low ^ _mix(high + keys[i + 1]) & low_mask
    return high << shift | low


def _mix(values: UInt64Array) -> UInt64Array:
    """SplitMix64's finaliser, a bijection that looks random (Steele, Lea and Flood, OOPSLA 2014)."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(_MIX_1)
    values = (values ^ values >> np.uint64(27)) * np.uint64(_MIX_2)
    return values ^ values >> np.uint64(31)


def _mix_int(value: int) -> int:
    value = (value ^ value >> 30) * _MIX_1 & _MASK
    value = (value ^ value >> 27) * _MIX_2 & _MASK
    return value ^ value >> 31
