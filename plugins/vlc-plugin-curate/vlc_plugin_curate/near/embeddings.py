"""Which images of two collections a model takes for the same: pairs of rows by the cosine of their embeddings.

Shapes: N left, M right, P pairs, D embedding width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_curate.near.embedder import Embedder, Embeddings, Part
from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.hamming import Near
from vlc_plugin_curate.near.reading import ImageSource

MIN_COSINE = 0.95

EXACT = 50_000
"""Images on the right up to which every pair is looked at; beyond, usearch finds the nearest by a graph."""

NEIGHBOURS = 16
"""So many of the right are found for each image of the left where there are more than that."""

_ROWS = 1024

Named = tuple[ImageSource, Fingerprints, str]
Search = Callable[[Embeddings], "Alike"]


class Alike(NamedTuple):
    """Pairs in the order of left, then right.

    Attributes:
        left: (P,) int64, which of the left ones.
        right: (P,) int64, which of the right ones.
        cosine: (P,) float32.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    cosine: NDArray[np.float32]


def near_embeddings(left: Named, right: Named, embedder: Embedder, *, min_cosine: float, besides: Near) -> Alike:
    """The pairs whose cosine is at least ``min_cosine``, and those ``besides`` that are there already, with theirs.

    The left ones are held a part at a time, the right ones all.
    """
    whole = _joined(list(embedder.parts(*right)), embedder.width)
    search = searcher(whole.embed, min_cosine)
    pieces = []
    for part in embedder.parts(*left):
        found = search(part.embed)
        pieces.append(Alike(part.rows[found.left], whole.rows[found.right], found.cosine))
        pieces.append(_cosines(part, whole, besides))
    return _in_order(pieces)


def searcher(right: Embeddings, min_cosine: float, *, exact: int = EXACT) -> Search:
    """What finds the pairs of left ones with ``right`` (M, D): both exactly up to ``exact`` of them, or by a graph."""
    if len(right) <= exact:
        return lambda left: _all(left, right, min_cosine)
    return _by_graph(right, min_cosine)


def _all(left: Embeddings, right: Embeddings, min_cosine: float) -> Alike:
    pieces = []
    for start in range(0, len(left), _ROWS):
        cosine = left[start : start + _ROWS] @ right.T
        row, column = np.nonzero(cosine >= min_cosine)
        pieces.append(Alike(row + start, column, cosine[row, column]))
    return _in_order(pieces)


def _by_graph(right: Embeddings, min_cosine: float) -> Search:
    from usearch.index import Index

    index = Index(ndim=right.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(right)), right, threads=1)  # by several threads another graph would come out each time

    def search(left: Embeddings) -> Alike:
        matches = index.search(left, NEIGHBOURS)  # as many of each: there are more than that on the right
        keys, cosine = np.asarray(matches.keys).reshape(len(left), -1), 1 - matches.distances.reshape(len(left), -1)
        row, place = np.nonzero(cosine >= min_cosine)
        return _in_order([Alike(row, keys[row, place].astype(np.int64), cosine[row, place])])

    return search


def _cosines(part: Part, whole: Part, near: Near) -> Alike:
    """Of the ``near`` pairs whose left one is in ``part``."""
    here = np.isin(near.left, part.rows)
    left, right = near.left[here], near.right[here]
    a, b = part.embed[np.searchsorted(part.rows, left)], whole.embed[np.searchsorted(whole.rows, right)]
    return Alike(left, right, np.einsum("pd,pd->p", a, b).astype(np.float32))


def _joined(parts: list[Part], width: int) -> Part:
    rows = [part.rows for part in parts] or [np.zeros(0, np.int64)]
    embed = [part.embed for part in parts] or [np.zeros((0, width), np.float32)]
    return Part(np.concatenate(rows), np.concatenate(embed))


def _in_order(pieces: list[Alike]) -> Alike:
    """Each pair once."""
    empty = Alike(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    left, right, cosine = (np.concatenate(column) for column in zip(empty, *pieces, strict=True))
    order = np.lexsort((right, left))
    left, right, cosine = left[order], right[order], cosine[order]
    first = np.ones(len(left), bool)
    first[1:] = (np.diff(left) != 0) | (np.diff(right) != 0)
    return Alike(left[first], right[first], cosine[first])
