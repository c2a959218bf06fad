"""The best rows of a matrix for several queries, exactly, by blocks and without a matrix of all scores.

Shapes: Q queries, D embedding width, R rows of a block, K results.
"""

from __future__ import annotations

from collections.abc import Iterable

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
    for block_RD in blocks:
        top.add(product(query_QD, block_RD.float()), first)
        first += len(block_RD)
    return top.result()


class Running:
    """The best of all scores so far, by query.

    After the first rows few scores are good enough to be looked at one by one: the rest costs one comparison each.
    """

    def __init__(self, queries: int, k: int) -> None:
        self._k = k
        self._least = torch.full((queries, 1), -torch.inf)
        self._scores = np.empty((queries, 0), np.float32)
        self._rows = np.empty((queries, 0), np.int64)

    def add(self, score_QR: Tensor, first: int) -> None:
        """Takes in the scores of rows ``first`` and on, where all rows before them have been taken in."""
        start, rows = 0, score_QR.shape[1]
        while start < rows:
            # Twice as many with each turn: about k of each are then better than what is there, and not all of them.
            stop = min(rows, start + max(self._k, first + start))
            self._take(score_QR[:, start:stop], first + start)
            start = stop

    def _take(self, score_QR: Tensor, first: int) -> None:
        if self._scores.shape[1] < self._k:
            found_P2 = torch.ones_like(score_QR, dtype=torch.bool).nonzero()
            queries_Q = torch.arange(len(score_QR))
        else:
            # Rows come in order, so an equal score is a later row's and changes nothing.
            queries_Q = (score_QR.amax(dim=1) > self._least[:, 0]).nonzero()[:, 0]
            if len(queries_Q) == 0:
                return
            score_QR = score_QR if len(queries_Q) == len(score_QR) else score_QR[queries_Q]
            found_P2 = (score_QR > self._least[queries_Q]).nonzero()
        places_P, rows_P = found_P2.unbind(dim=1)
        scores_P = score_QR[places_P, rows_P].numpy()
        self._merge(queries_Q.numpy(), places_P.numpy(), rows_P.numpy() + first, scores_P)

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and numbers (Q, K)."""
        return self._scores, self._rows

    def _merge(
        self,
        queries: NDArray[np.int64],
        places: NDArray[np.int64],
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
    ) -> None:
        """Sorts new scores in; ``places`` says which of ``queries`` each is of."""
        there = self._scores.shape[1]
        of = np.concatenate([np.repeat(np.arange(len(queries)), there), places])
        all_rows = np.concatenate([self._rows[queries].reshape(-1), rows])
        all_scores = np.concatenate([self._scores[queries].reshape(-1), scores])
        order = np.lexsort((all_rows, -all_scores, of))
        counts = np.bincount(of, minlength=len(queries))
        kept = min(self._k, int(counts.min()))
        starts = np.cumsum(counts) - counts
        chosen = order[(starts[:, None] + np.arange(kept)).reshape(-1)].reshape(len(queries), kept)
        if kept != there:  # every query is among them until all have their k
            self._scores, self._rows = all_scores[chosen], all_rows[chosen]
        else:
            self._scores[queries], self._rows[queries] = all_scores[chosen], all_rows[chosen]
        self._least[torch.from_numpy(queries)] = torch.from_numpy(self._scores[queries, -1:])
