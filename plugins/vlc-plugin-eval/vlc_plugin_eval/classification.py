"""Nearest-class scores of labelled embeddings.

Shapes: N samples, C classes, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

ROWS = 4096
"""Samples scored at once: with 1,000 classes a block of similarities takes 16 MB."""


class Scores(NamedTuple):
    """What the similarities say about each sample.

    Attributes:
        predicted: (N,) int64, the class of the highest similarity; of equal ones the first.
        rank: (N,) int64 from 0, how many classes come before the true one in that order.
    """

    predicted: Tensor
    rank: Tensor


def score(image_ND: Tensor, class_CD: Tensor, labels_N: Tensor) -> Scores:
    """Predictions and ranks of the true classes, block by block.

    Args:
        image_ND: (N, D) float32 image embeddings, rows of unit length.
        class_CD: (C, D) float32 class embeddings, rows of unit length.
        labels_N: (N,) int64 true classes, in 0…C-1.
    """
    predicted, rank = torch.empty_like(labels_N), torch.empty_like(labels_N)
    for start in range(0, labels_N.shape[0], ROWS):
        rows = slice(start, start + ROWS)
        predicted[rows], rank[rows] = _score_block(image_ND[rows] @ class_CD.T, labels_N[rows])
    return Scores(predicted, rank)


def recall_per_class(scores: Scores, labels_N: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The number of samples (C,) int64 and the share of them predicted right (C,) float64, NaN for none."""
    total_C = torch.bincount(labels_N, minlength=classes)
    right_C = torch.bincount(labels_N[scores.predicted == labels_N], minlength=classes)
    return total_C, right_C.double() / total_C


def confusions(scores: Scores, labels_N: Tensor, classes: int, *, most: int) -> list[tuple[int, int, int]]:
    """The ``most`` frequent mistakes as (true class, predicted class, samples), the commonest first."""
    wrong = scores.predicted != labels_N
    pairs, counts = torch.unique(labels_N[wrong] * classes + scores.predicted[wrong], return_counts=True)
    order = torch.argsort(counts, descending=True, stable=True)[:most]
    return [(int(p) // classes, int(p) % classes, int(n)) for p, n in zip(pairs[order], counts[order], strict=True)]


def _score_block(similarity_NC: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    true_N1 = similarity_NC.gather(1, labels_N[:, None])
    earlier_NC = torch.arange(similarity_NC.shape[1]) < labels_N[:, None]
    ahead_NC = (similarity_NC > true_N1) | ((similarity_NC == true_N1) & earlier_NC)
    # The first of equal maxima; argmax leaves open which one it returns.
    best_NC = similarity_NC == similarity_NC.amax(dim=1, keepdim=True)
    return best_NC.int().argmax(dim=1), ahead_NC.sum(dim=1)
