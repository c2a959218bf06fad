"""Rank correlation of a model's similarities with people's, by the bootstrap of Crisscrossed Captions.

Parekh et al. 2021, Crisscrossed Captions, EACL 2021, arXiv 2004.15020: the pairs of one query depend on each other, so
each of 1,000 samples takes half of the queries and one pair of each.

Shapes: P rated pairs, Q queries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Correlation(NamedTuple):
    """What the samples of a bootstrap say.

    Attributes:
        mean: Of Spearman's coefficient.
        deviation: Its standard deviation.
        queries: How many queries there are; a sample takes half of them.
    """

    mean: float
    deviation: float
    queries: int


def bootstrap(query_P: Ints, human_P: Floats, model_P: Floats, *, samples: int, seed: int) -> Correlation:
    """The mean correlation over samples of half of the queries, each with one of its pairs at random.

    Args:
        query_P: (P,) int64, which query a pair belongs to. At least four differ, so that a sample has two.
        human_P: (P,) what people said.
        model_P: (P,) what the model says.
        samples: How many are drawn.
        seed: Draws them.
    """
    order = np.argsort(query_P, kind="stable")
    _, first_Q, count_Q = np.unique(query_P[order], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    found = np.empty(samples)
    for number in range(samples):
        half = rng.permutation(len(first_Q))[: len(first_Q) // 2]
        pairs = order[first_Q[half] + rng.integers(count_Q[half])]
        found[number] = spearman(human_P[pairs], model_P[pairs])
    return Correlation(float(found.mean()), float(found.std()), len(first_Q))


def spearman(one_P: Floats, other_P: Floats) -> float:
    """Spearman's coefficient: Pearson's of the ranks, equal values sharing theirs.

    0 where one side is constant, as a model that says the same of every pair says nothing.
    """
    first_P, second_P = (ranks(x) - (len(x) + 1) / 2 for x in (one_P, other_P))
    size = np.sqrt((first_P @ first_P) * (second_P @ second_P))
    return float(first_P @ second_P / size) if size > 0 else 0.0


def ranks(x_P: Floats) -> Floats:
    """Ranks from 1; equal values have the mean of the ranks that they take up."""
    _, which_P, counts = np.unique(x_P, return_inverse=True, return_counts=True)
    shared: Floats = np.cumsum(counts) - (counts - 1) / 2
    return shared[which_P]
