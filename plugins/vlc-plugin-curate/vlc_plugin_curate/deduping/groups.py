"""Which rows are copies of which: every row that is dropped is near the one that is kept in its place.

Chains are not followed: where A is near B and B near C, but A not near C, then A and C are kept and B is dropped.
Shapes: N rows, K different looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_curate.near.embeddings import Alike
from vlc_plugin_curate.near.fingerprints import FLAT, SOUND, UNREADABLE, Fingerprints
from vlc_plugin_curate.near.hamming import Near
from vlc_plugin_curate.near.looks import distances, near_looks

Keep = Literal["first", "largest"]
Rows = NDArray[np.int64]
ByModel = Callable[[Fingerprints, Near], Alike]
"""Finds the pairs of rows that are near by their embeddings, given those that are by their looks."""


@dataclass(frozen=True, slots=True)
class Groups:
    """What is kept in place of each row.

    Attributes:
        kept: (N,) int64, the row that is kept in its place: itself where it is kept; -1 where it cannot be read.
        distance: (N,) uint8, bits in which its looks differ from those of that row.
        cosine: (N,) float32 with that row; NaN where it was not computed.
    """

    kept: Rows
    distance: NDArray[np.uint8]
    cosine: NDArray[np.float32]

    @property
    def kept_rows(self) -> Rows:
        """The rows that are kept, ascending."""
        return np.flatnonzero(self.kept == np.arange(len(self.kept)))

    @property
    def dropped_rows(self) -> Rows:
        """The rows that are copies of others, ascending."""
        return np.flatnonzero((self.kept != np.arange(len(self.kept))) & (self.kept >= 0))

    def groups(self) -> list[tuple[int, Rows]]:
        """The rows that are kept and have copies, each with those; the largest groups first."""
        dropped = self.dropped_rows
        leaders, starts = np.unique(self.kept[dropped], return_index=True)
        order = np.argsort(self.kept[dropped], kind="stable")
        starts = np.searchsorted(self.kept[dropped][order], leaders)
        split = np.split(dropped[order], starts[1:]) if len(leaders) else []
        return sorted(zip(leaders.tolist(), split, strict=True), key=lambda group: -len(group[1]))


def group(
    prints: Fingerprints,
    *,
    radius: int | None,
    keep: Keep = "first",
    same_text: bool = False,
    by_model: ByModel | None = None,
) -> Groups:
    """Finds the copies.

    Args:
        prints: Of all rows.
        radius: Bits in which looks may differ; None: only files of the same bytes are copies.
        keep: Which row of several is kept: the first of them, or the one with most pixels (of equals, the first).
        same_text: Whether only rows with equal captions are copies.
        by_model: Finds more.
    """
    rank = _rank(prints, keep)
    leader = _identical(prints, rank, looks=radius is not None, same_text=same_text)
    heads = rank[np.isin(rank, leader)]  # one row for each look, those that are rather kept before the others
    cosine = np.full(len(prints), np.nan, np.float32)
    if radius is not None:
        alone = _only(prints, heads)
        near = _both_ways(near_looks(alone, alone, radius), same_text, prints)
        alike = None if by_model is None else by_model(alone, near)
        near = near if alike is None else _both_ways(Near(alike.left, alike.right, _zeros(alike)), same_text, prints)
        _join(leader, heads, near)
        if alike is not None:
            _tell(cosine, leader, alike)
    leader = np.where(leader >= 0, leader[leader], -1)
    distance = np.where(leader >= 0, distances(prints.rows, prints.rows[leader]), 0).astype(np.uint8)
    return Groups(leader, distance, cosine)


def _rank(prints: Fingerprints, keep: Keep) -> Rows:
    """The readable rows, those that are rather kept first."""
    rows = np.flatnonzero(prints.rows["state"] != UNREADABLE)
    if keep == "first":
        return rows
    pixels = prints.rows["width"][rows].astype(np.int64) * prints.rows["height"][rows]
    return rows[np.argsort(-pixels, kind="stable")]


def _identical(prints: Fingerprints, rank: Rows, *, looks: bool, same_text: bool) -> Rows:
    """(N,) for each row the best one of those with the same bytes or looks; -1 for unreadable ones."""
    rows = prints.rows[rank]
    by_looks = (rows["state"] == SOUND) & looks
    key = np.zeros((len(rank), 7), np.uint64)
    key[:, 0] = by_looks
    key[by_looks, 1], key[by_looks, 2:6] = rows["hashes"][by_looks, 0], rows["fine"][by_looks, 0]
    key[~by_looks, 1:3] = rows["digest"][~by_looks]
    key[:, 6] = rows["texts"] if same_text else 0
    leader = np.full(len(prints), -1, np.int64)
    if len(rank):
        whole = np.ascontiguousarray(key).view(np.dtype((np.void, key.itemsize * key.shape[1])))[:, 0]
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        leader[rank] = rank[first[inverse]]
    return leader


def _only(prints: Fingerprints, rows: Rows) -> Fingerprints:
    """The fingerprints with all but ``rows`` left out of comparisons."""
    alone = prints.rows.copy()
    others = np.ones(len(prints), bool)
    others[rows] = False
    alone["state"][others & (alone["state"] == SOUND)] = FLAT
    return Fingerprints(alone)


def _both_ways(near: Near, same_text: bool, prints: Fingerprints) -> Near:
    """Without the pairs of a row with itself, and of rows whose captions differ where that matters."""
    wanted = near.left != near.right
    if same_text:
        wanted &= prints.rows["texts"][near.left] == prints.rows["texts"][near.right]
    return Near(near.left[wanted], near.right[wanted], near.distance[wanted])


def _join(leader: Rows, heads: Rows, near: Near) -> None:
    """Lets each of the ``heads`` in turn, if nobody leads it yet, lead all that are near it and led by nobody."""
    starts = np.searchsorted(near.left, np.arange(len(leader) + 1))
    taken = np.zeros(len(leader), bool)
    asked = np.zeros(len(leader), bool)
    asked[near.left] = True
    for head in heads[asked[heads]].tolist():
        if not taken[head]:
            followers = near.right[starts[head] : starts[head + 1]]
            followers = followers[~taken[followers]]
            taken[followers] = taken[head] = True
            leader[followers] = head


def _tell(cosine: NDArray[np.float32], leader: Rows, alike: Alike) -> None:
    led = leader[alike.left] == alike.right
    cosine[alike.left[led]] = alike.cosine[led]


def _zeros(alike: Alike) -> NDArray[np.uint8]:
    return np.zeros(len(alike.left), np.uint8)
