"""Votes of the nearest neighbours by cosine, block by block.

Shapes: N samples that ask, M samples that answer, D width, C classes, K neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1024


def vote(
    query_ND: Tensor,
    bank_MD: Tensor,
    labels_M: Tensor,
    *,
    k: int,
    temperature: float | None,
    classes: int,
    among_themselves: bool = False,
) -> Tensor:
    """The class that each query's neighbours vote for, (N,) int64; of equal votes the first class.

    Args:
        query_ND: (N, D) float32, rows of unit length.
        bank_MD: (M, D) float32, rows of unit length.
        labels_M: (M,) int64.
        k: How many neighbours vote; at most M, or M - 1 ``among_themselves``.
        temperature: τ of a vote's weight exp(cosine / τ); None lets each count one.
        classes: C.
        among_themselves: The queries are the bank, and nobody is asked about itself.
    """
    predicted = torch.empty(query_ND.shape[0], dtype=torch.int64)
    for start in range(0, query_ND.shape[0], ROWS):
        similarity_NM = query_ND[start : start + ROWS] @ bank_MD.T
        if among_themselves:
            row = torch.arange(similarity_NM.shape[0])
            similarity_NM[row, row + start] = -torch.inf
        nearest = similarity_NM.topk(k, dim=1)
        cosine_NK = nearest.values.double()
        # The nearest neighbour's weight is 1: exp(1 / 0.01) would not be a number in float32.
        weight_NK = (
            torch.ones_like(cosine_NK) if temperature is None else ((cosine_NK - cosine_NK[:, :1]) / temperature).exp()
        )
        votes_NC = torch.zeros(similarity_NM.shape[0], classes, dtype=torch.float64)
        votes_NC.scatter_add_(1, labels_M[nearest.indices], weight_NK)
        best_NC = votes_NC == votes_NC.amax(dim=1, keepdim=True)
        predicted[start : start + ROWS] = best_NC.int().argmax(dim=1)
    return predicted
