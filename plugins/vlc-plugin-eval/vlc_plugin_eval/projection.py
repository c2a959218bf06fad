"""t-SNE and the numbers that say what its picture shows.

Shapes: N samples, D width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vlc_plugin_eval.logistic import sklearn
from vlc_plugin_eval.neighbours import vote

ROUNDED = 2
"""Decimals of a place on the map, which is a thousand units wide."""


def tsne(embed_ND: Tensor, *, perplexity: float, seed: int) -> NDArray[np.float64]:
    """Places (N, 2) in the middle of a map 1000 units wide and high, the same for the same ``seed``.

    It starts from the first two principal components, so that maps of like embeddings are turned alike.

    Args:
        embed_ND: (N, D) float32, rows of unit length; at least four.
        perplexity: About how many neighbours a point has; at most a third of the others is used.
        seed: Of what is left to chance.

    Raises:
        RecipeError: scikit-learn is not installed.
    """
    number = embed_ND.shape[0]
    # Principal components of embeddings that are all alike would be 0 / 0.
    start: Any = "pca" if float(embed_ND.std(dim=0).max()) > 0 and embed_ND.shape[1] > 1 else "random"
    made = sklearn("manifold").TSNE(
        n_components=2, perplexity=min(perplexity, (number - 1) / 3), init=start, random_state=seed
    )
    places: NDArray[np.float64] = made.fit_transform(embed_ND.numpy()).astype(np.float64)
    low, high = places.min(axis=0), places.max(axis=0)
    centred = (places - (low + high) / 2) / np.maximum(high - low, 1e-12).max()
    scaled: NDArray[np.float64] = 1000 * (centred + 0.5)
    return scaled.round(ROUNDED)


def silhouette(embed_ND: Tensor, labels_N: Tensor) -> float:
    """The mean silhouette by cosine distance in -1…1 (Rousseeuw, 1987): how far classes lie apart.

    Args:
        embed_ND: (N, D) float32, rows of unit length.
        labels_N: (N,) int64; at least two classes, and one of them with two samples.
    """
    score = sklearn("metrics").silhouette_score(embed_ND.numpy(), labels_N.numpy(), metric="cosine")
    return float(score)


def leave_one_out(embed_ND: Tensor, labels_N: Tensor, *, k: int) -> float:
    """The share of samples whose ``k`` nearest others vote, each with one vote, for its own class."""
    classes = int(labels_N.max()) + 1
    predicted = vote(embed_ND, embed_ND, labels_N, k=k, temperature=None, classes=classes, among_themselves=True)
    return float((predicted == labels_N).double().mean())
