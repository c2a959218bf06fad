"""The best rows of a matrix for several queries, exactly, by blocks and without a matrix of all scores.

Shapes: Q queries, D embedding width, R rows of a block, K results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.products import product

_SCORES = 1 << 20
"""Scores that are looked through at once: few enough for the processor's caches."""
_FEWEST, _MOST = 4096, 65_536
_CONVERTED = 1 << 20
"""Numbers that are brought to float32 at once: the product finds these 4 MiB in the cache that the cores share.

An eighth of them would fit the cache of one core, but what every product costs by itself then outweighs what that
saves; with four times as many, and other work on the machine, they have left the caches again.
"""


def rows_at_once(queries: int) -> int:
    """Rows of a block: for few queries more of them, or what a block costs by itself outweighs its products."""
    return max(_FEWEST, min(_MOST, _SCORES // queries))


def best(query_QD: Tensor, blocks: Iterable[Tensor], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and numbers (Q, K) of the ``k`` rows with the largest inner products, best first.

    Of equal scores the earlier row is the better one. K is less than ``k`` where there are fewer rows. Scores are
    float32 products, whatever the rows are kept in.

    Args:
        query_QD: float32.
        blocks: The rows in order, (R, D) each; best with :func:`rows_at_once` rows.
        k: At least one.
    """
    top = Running(len(query_QD), k)
    first = 0
    for score_QR in _scores(query_QD, blocks):
        top.add(score_QR, first)
        first += score_QR.shape[1]
    return top.result()


def _scores(query_QD: Tensor, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The products (Q, R) with each block, of shorter numbers by pieces that fit the caches once they are float32."""
    at_once = max(1, _CONVERTED // query_QD.shape[1])
    room_RD = torch.empty(at_once, query_QD.shape[1])
    for block_RD in blocks:
        if block_RD.dtype == torch.float32:
            yield product(query_QD, block_RD)
            continue
        pieces = block_RD.split(at_once)
        yield torch.cat([product(query_QD, room_RD[: len(piece)].copy_(piece)) for piece in pieces], dim=1)


class Found(NamedTuple):
    """P scores that may be among the best: of which query, of which row."""

    query: NDArray[np.int64]
    row: NDArray[np.int64]
    score: NDArray[np.float32]


@final
class Running:
    """The best of all scores so far, by query.

    After the first rows few scores are good enough to be looked at one by one: the rest costs one comparison each.
    Those few are kept unsorted until there are as many as is worth the sorting.
    """

    def __init__(self, queries: int, k: int) -> None:
        self._k, self._enough = k, 2 * queries * k
        self._least = torch.full((queries, 1), -torch.inf)
        self._scores = np.empty((queries, 0), np.float32)
        self._rows = np.empty((queries, 0), np.int64)
        self._unsorted: list[Found] = []
        self._waiting = 0

    def add(self, score_QR: Tensor, first: int) -> None:
        """Takes in the scores of rows ``first`` and on, where all rows before them have been taken in."""
        start, rows = 0, score_QR.shape[1]
        while start < rows:
            # Twice as many with each turn: about k of each are then better than what is there, and not all of them.
            stop = min(rows, start + max(self._k, first + start))
            self._take(score_QR[:, start:stop], first + start)
            start = stop

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and numbers (Q, K)."""
        if self._waiting:
            self._sort()
        return self._scores, self._rows

    def _take(self, score_QR: Tensor, first: int) -> None:
        if self._scores.shape[1] < self._k:
            self._keep(torch.ones_like(score_QR, dtype=torch.bool).nonzero(), None, score_QR, first)
            self._sort()
            return
        # Rows come in order, so an equal score is a later row's and changes nothing.
        better_Q = score_QR.amax(dim=1) > self._least[:, 0]
        queries_Q = better_Q.nonzero()[:, 0]
        if len(queries_Q) == 0:
            return
        some_QR = score_QR if len(queries_Q) == len(score_QR) else score_QR[queries_Q]
        self._keep((some_QR > self._least[queries_Q]).nonzero(), queries_Q, some_QR, first)
        if self._waiting >= self._enough:
            self._sort()

    def _keep(self, found_P2: Tensor, queries_Q: Tensor | None, score_QR: Tensor, first: int) -> None:
        place_P, row_P = found_P2.unbind(dim=1)
        query_P = place_P if queries_Q is None else queries_Q[place_P]
        self._unsorted.append(Found(query_P.numpy(), row_P.numpy() + first, score_QR[place_P, row_P].numpy()))
        self._waiting += len(row_P)

    def _sort(self) -> None:
        """Sorts in what waits; every query has as many scores then as every other."""
        queries, there = self._scores.shape
        before = Found(np.repeat(np.arange(queries), there), self._rows.reshape(-1), self._scores.reshape(-1))
        query, row, score = (np.concatenate(parts) for parts in zip(before, *self._unsorted, strict=True))
        order = np.lexsort((row, -score, query))
        counts = np.bincount(query, minlength=queries)
        kept = min(self._k, int(counts.min()))
        starts = np.cumsum(counts) - counts
        chosen = order[starts[:, None] + np.arange(kept)]
        self._scores, self._rows = score[chosen], row[chosen]
        self._least = torch.from_numpy(self._scores[:, -1:].copy())
        self._unsorted, self._waiting = [], 0
