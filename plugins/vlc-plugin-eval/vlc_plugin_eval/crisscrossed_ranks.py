"""Ranks of relevant items where queries and candidates may be the same things.

Shapes: Q queries, C candidates, P relevant pairs, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vlc_plugin_eval.ranking import TIE


def query_ranks(
    query_QD: Tensor, candidate_CD: Tensor, pairs_P2: Tensor, *, same: bool = False, rows: int = 1024
) -> Tensor:
    """The rank, from 1, of the best-ranked relevant candidate of each query that has one; in the order of queries.

    An irrelevant candidate that is as near comes first. Relevant ones never push each other down.

    Args:
        query_QD: (Q, D) float32, rows of unit length.
        candidate_CD: (C, D) float32, rows of unit length.
        pairs_P2: (P, 2) int64, the relevant (query, candidate) pairs.
        same: Whether candidate i is query i itself, which it is not to find.
        rows: Queries in a block.
    """
    pairs_P2 = pairs_P2.unique(dim=0)
    asked, counts = torch.unique_consecutive(pairs_P2[:, 0], return_counts=True)
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    found = []
    for top in range(0, len(asked), rows):
        block = asked[top : top + rows]
        own_P2 = pairs_P2[ends[top] : ends[top + len(block)]]
        row_P = torch.searchsorted(block, own_P2[:, 0].contiguous())
        similarity_RC = query_QD[block] @ candidate_CD.T
        if same:
            similarity_RC[torch.arange(len(block)), block] = -torch.inf
        best_R = torch.full((len(block),), -torch.inf)
        best_R.scatter_reduce_(0, row_P, similarity_RC[row_P, own_P2[:, 1]], "amax")
        similarity_RC[row_P, own_P2[:, 1]] = -torch.inf
        found.append((similarity_RC > best_R[:, None] - TIE).sum(dim=1) + 1)
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)
