"""The best rows by a graph of neighbours (HNSW, arXiv 1603.09320): it looks at some of the rows, and may miss a best.

Shapes: Q queries, D embedding width, K results.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.errors import StorageError

NOWHERE = -1
"""The row of a result that is none: a graph may find fewer than it is asked for."""


def best_by_graph(
    query_QD: Tensor, file: Path, k: int, *, expansion: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores and numbers (Q, K) of rows with large inner products, best first; a row -1 is no result.

    Scores are float32 products with the vectors that the graph holds; of equal ones the earlier row comes first.

    Args:
        query_QD: float32.
        file: The graph, which is mapped into memory.
        k: At least one.
        expansion: efSearch, the candidates that are followed; no fewer than ``k``.

    Raises:
        StorageError: The file is missing or broken.
    """
    from usearch.index import Index

    try:
        index = Index.restore(str(file), view=True, expansion_search=max(expansion, k))
        if index is None or index.ndim != query_QD.shape[1]:
            raise ValueError("it holds no vectors of the model's width")
        count = min(k, len(index))
        keys = np.full((len(query_QD), count), NOWHERE, np.int64)
        for place, query in enumerate(query_QD.numpy()):
            found = np.asarray(index.search(query, count).keys).astype(np.int64)
            keys[place, : len(found)] = found
        held = np.asarray(index.get(keys.clip(min=0).reshape(-1).astype(np.uint64)), dtype=np.float32)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(
            f"the index {file} cannot be used ({error}): remove it and run vlc embed --index ann again"
        ) from error
    vectors_QKD = torch.from_numpy(held).view(len(query_QD), count, -1)
    scores = torch.einsum("qd,qkd->qk", query_QD, vectors_QKD).numpy()
    scores[keys == NOWHERE] = -np.inf
    order = np.stack([np.lexsort((keys[q], -scores[q])) for q in range(len(keys))])
    return np.take_along_axis(scores, order, 1), np.take_along_axis(keys, order, 1)
