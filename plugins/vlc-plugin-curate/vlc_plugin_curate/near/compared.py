"""Two collections compared by hashes and, with a model, by embeddings: the one way that all commands do it.

Shapes: P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vlc_core import Dataset
from vlc_plugin_curate.near.embedder import Embedder
from vlc_plugin_curate.near.embeddings import MIN_COSINE, Named, near_embeddings
from vlc_plugin_curate.near.fingerprints import Fingerprints
from vlc_plugin_curate.near.looks import RADIUS, distances, near_looks
from vlc_plugin_curate.near.sources import Sources


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What makes images near-duplicates.

    Attributes:
        radius: Bits in which their hashes may differ.
        embedder: Embeds images; None compares hashes alone.
        min_cosine: The least cosine of embeddings.
    """

    radius: int = RADIUS
    embedder: Embedder | None = None
    min_cosine: float = MIN_COSINE


def as_options(radius: int, model: Path | None, min_cosine: float) -> dict[str, Any]:
    """What reports say of thresholds, by the names of the commands' options: nothing of what does nothing."""
    named: dict[str, Any] = {"radius": radius}
    return named if model is None else named | {"model": str(model), "min_cosine": min_cosine}


class Pairs(NamedTuple):
    """Near-duplicates, in the order of left, then right.

    Attributes:
        left: (P,) int64, rows.
        right: (P,) int64, rows.
        distance: (P,) uint8, bits in which their hashes differ.
        cosine: (P,) float32 of their embeddings; None without a model.
        by_looks: (P,) which pairs their hashes tell; the embeddings alone tell the others.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    distance: NDArray[np.uint8]
    cosine: NDArray[np.float32] | None
    by_looks: NDArray[np.bool_]


class Compared(NamedTuple):
    """A dataset that others were compared with.

    Attributes:
        name: Of it.
        data: It.
        prints: Its fingerprints.
        pairs: Its near-duplicates, on the right of each pair.
    """

    name: str
    data: Dataset
    prints: Fingerprints
    pairs: Pairs


def compare(left: Named, right: Named, by: Thresholds) -> Pairs:
    """The near-duplicates of two sources, each given with its fingerprints and its name.

    Raises:
        DataError: A source has changed since its fingerprints were made.
        StorageError: The embedder's cache cannot be written.
    """
    near = near_looks(left[1], right[1], by.radius)
    if by.embedder is None:
        return Pairs(near.left, near.right, near.distance, None, np.ones(len(near.left), bool))
    found = near_embeddings(left, right, by.embedder, min_cosine=by.min_cosine, besides=near)
    distance = distances(left[1].rows[found.left], right[1].rows[found.right])
    every = len(right[1])
    by_looks = np.isin(found.left * every + found.right, near.left * every + near.right)
    return Pairs(found.left, found.right, distance, found.cosine, by_looks)


def compare_each(
    train: Sources, train_prints: Fingerprints, others: Sources, prints: Fingerprints, by: Thresholds
) -> Iterator[Compared]:
    """All of ``train`` with each of ``others`` in turn.

    Raises:
        DataError: A source has changed since its fingerprints were made.
        StorageError: The embedder's cache cannot be written.
    """
    for number, (spec, data) in enumerate(zip(others.specs, others.datasets, strict=True)):
        own = Fingerprints(prints.rows[others.starts[number] : others.starts[number + 1]])
        pairs = compare((train, train_prints, train.name), (data, own, spec.name), by)
        yield Compared(spec.name, data, own, pairs)
