"""Both ways to find near hashes against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vlc_plugin_curate.near import hamming


def close(count: int, near: int, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Random hashes, and others of which the first ``near`` differ from them in 0 … 16 bits."""
    draw = np.random.default_rng(seed)
    left = draw.integers(0, 2**64, count, dtype=np.uint64)
    right = draw.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(near):
        flips = draw.choice(64, row % 17, replace=False).astype(np.uint64)
        right[row] = left[row] ^ np.bitwise_or.reduce(np.uint64(1) << flips, initial=np.uint64(0))
    return left, right


def naive(left: NDArray[np.uint64], right: NDArray[np.uint64], radius: int) -> list[tuple[int, int, int]]:
    pairs = ((i, j, (int(a) ^ int(b)).bit_count()) for i, a in enumerate(left) for j, b in enumerate(right))
    return [(i, j, distance) for i, j, distance in pairs if distance <= radius]


@pytest.mark.parametrize("few", [0, 1 << 62], ids=["by parts", "all"])
@pytest.mark.parametrize("radius", [0, 1, 3, 4, 6, 10, 13, 15, 16])
def test_against_a_loop(monkeypatch: pytest.MonkeyPatch, few: int, radius: int) -> None:
    monkeypatch.setattr(hamming, "FEW", few)
    left, right = close(120, 100, radius)
    for a, b in ((left, right), (left[:50], right)):
        near = hamming.pairs_within(a, b, radius)
        assert list(zip(*(column.tolist() for column in near), strict=True)) == naive(a, b, radius)


def test_blocks_do_not_cut_pairs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = close(300, 300, 1)
    right[:40] = right[0]  # a bucket that is larger than a block
    whole = hamming.pairs_within(left, right, 10)
    monkeypatch.setattr(hamming, "FEW", 0)
    monkeypatch.setattr(hamming, "_BLOCK", 512)
    parts = hamming.pairs_within(left, right, 10)
    assert [column.tolist() for column in whole] == [column.tolist() for column in parts]


def test_a_hash_near_itself_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "FEW", 0)
    left, _ = close(500, 0, 2)
    near = hamming.pairs_within(left, left, 10)
    assert np.array_equal(near.left, np.arange(500))
    assert np.array_equal(near.right, np.arange(500))


@pytest.mark.parametrize("few", [0, 1 << 62])
def test_nothing_is_near_nothing(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(hamming, "FEW", few)
    left, _ = close(3, 0, 0)
    assert len(hamming.pairs_within(left, left[:0], 10).left) == 0
    assert len(hamming.pairs_within(left[:0], left, 10).left) == 0
    assert len(hamming.pairs_within(left[:0], left[:0], 10).left) == 0


def test_least_distance_of_a_pair_counts() -> None:
    twice = hamming.Near(np.array([1, 0, 1]), np.array([2, 5, 2]), np.array([7, 1, 3], np.uint8))
    assert [column.tolist() for column in hamming.in_order(twice)] == [[0, 1], [5, 2], [1, 3]]
