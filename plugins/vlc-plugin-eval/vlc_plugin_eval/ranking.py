"""Ranks of the relevant items in both directions of retrieval, without the whole similarity matrix.

Shapes: N images, M texts, P relevant pairs, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

TIE = 1e-6
"""Cosines nearer than this are equal: float32 rounds a dot product of unit rows by about a tenth of it, and
which way depends on where in a block it stands."""


class Ranks(NamedTuple):
    """The rank of the best-ranked relevant item of each query, from 1.

    Attributes:
        of_text: (N,) int64, for each image among the texts.
        of_image: (M,) int64, for each text among the images.
    """

    of_text: Tensor
    of_image: Tensor


def best_ranks(image_ND: Tensor, text_MD: Tensor, pairs_P2: Tensor, *, rows: int = 1024, columns: int = 4096) -> Ranks:
    """Ranks by cosine, ``rows`` × ``columns`` similarities at a time, one matrix product for both directions.

    An irrelevant item that is as near as the best relevant one is ranked before it, so a model that gives
    everything the same embedding finds nothing. Relevant items never push each other down.

    Args:
        image_ND: (N, D) float32, rows of unit length.
        text_MD: (M, D) float32, rows of unit length.
        pairs_P2: (P, 2) int64, the relevant (image, text) pairs, none twice; every image and text has one.
        rows: Images in a block.
        columns: Texts in a block.
    """
    pairs_P2 = pairs_P2[pairs_P2[:, 0].argsort(stable=True)]
    bar_N, bar_M = _bars(image_ND, text_MD, pairs_P2)
    ahead_N = torch.zeros(image_ND.shape[0], dtype=torch.int64)
    ahead_M = torch.zeros(text_MD.shape[0], dtype=torch.int64)
    for top in range(0, image_ND.shape[0], rows):
        i = slice(top, top + rows)
        first, last = torch.searchsorted(pairs_P2[:, 0].contiguous(), torch.tensor([top, top + rows])).tolist()
        own = pairs_P2[first:last]
        for left in range(0, text_MD.shape[0], columns):
            j = slice(left, left + columns)
            within = own[(own[:, 1] >= left) & (own[:, 1] < left + columns)] - torch.tensor([top, left])
            similarity = image_ND[i] @ text_MD[j].T
            similarity[within[:, 0], within[:, 1]] = -torch.inf
            ahead_N[i] += (similarity > bar_N[i, None]).sum(dim=1)
            ahead_M[j] += (similarity > bar_M[None, j]).sum(dim=0)
    return Ranks(ahead_N + 1, ahead_M + 1)


def chance_recall(relevant: Tensor, candidates: int, k: int) -> float:
    """What a random order would recall: the mean over queries of 1 - C(M-r, k) / C(M, k).

    Args:
        relevant: (Q,) int64, r, how many of the candidates are relevant to each query.
        candidates: M.
        k: How many are looked at.
    """
    missed = torch.ones(relevant.shape[0], dtype=torch.float64)
    for drawn in range(min(k, candidates)):
        missed *= ((candidates - relevant.double() - drawn) / (candidates - drawn)).clamp(min=0)
    return float(1 - missed.mean())


def _bars(image_ND: Tensor, text_MD: Tensor, pairs_P2: Tensor) -> tuple[Tensor, Tensor]:
    """What an irrelevant item must exceed to come first, (N,) and (M,): the best relevant one, less a tie."""
    best_N = torch.full((image_ND.shape[0],), -torch.inf)
    best_M = torch.full((text_MD.shape[0],), -torch.inf)
    for part in pairs_P2.split(65536):
        i, j = part.unbind(dim=1)
        similarity_P = (image_ND[i] * text_MD[j]).sum(dim=1)
        best_N.scatter_reduce_(0, i, similarity_P, "amax")
        best_M.scatter_reduce_(0, j, similarity_P, "amax")
    return best_N - TIE, best_M - TIE
