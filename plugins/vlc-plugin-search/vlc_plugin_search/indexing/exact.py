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

BLOCK = 4096
"""Rows that are compared at once: with their scores they stay in the processor's caches."""


def best(query_QD: Tensor, blocks: Iterable[Tensor], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and numbers (Q, K) of the ``k`` rows with the largest inner products, best first.

    Of equal scores the earlier row is the better one. K is less than ``k`` where there are fewer rows. Scores are
    float32 products, whatever the rows are kept in.

    Args:
        query_QD: float32.
        blocks: The rows in order, (R, D) each.
        k: At least one.
    """
    top = Running(len(query_QD), k)
    first = 0
    for block_RD in _float32(blocks):
        top.add(product(query_QD, block_RD), first)
        first += len(block_RD)
    return top.result()


def _float32(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The blocks in float32, each until the next is asked for: new memory for each would cost more than products do."""
    room = torch.empty(0)
    for block_RD in blocks:
        if block_RD.dtype == torch.float32:
            yield block_RD
            continue
        if len(room) < len(block_RD):
            room = torch.empty(block_RD.shape)
        yield room[: len(block_RD)].copy_(block_RD)


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
