"""Indexes out of finished parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlc_plugin_data.tars.kept import whole
from vlc_plugin_search.embedding.description import Description
from vlc_plugin_search.embedding.parts import read_vectors
from vlc_plugin_search.embedding.store import Store
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.indexing.matrix import write_matrix
from vlc_plugin_search.sides import Side

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Graph:
    """How the graph of neighbours is built (HNSW, arXiv 1603.09320).

    Attributes:
        connectivity: M, the neighbours of a vector that are linked to it.
        expansion: efConstruction, the candidates among which they are chosen.
    """

    connectivity: int = 32
    expansion: int = 256


def build_index(
    store: Store, description: Description, rows: Mapping[Side, int], kind: Kind, graph: Graph, progress: Progress
) -> None:
    """Makes the index of each side where it is not there yet; raises OSError, and StorageError for a broken part."""
    missing = [side for side in rows if rows[side] and not store.index(side, kind).is_file()]
    total, done = sum(rows[side] for side in missing), 0
    for side in missing:
        pieces = _pieces(store, description, side)
        build = _exact(store, description, side, rows[side], pieces) if kind is Kind.EXACT else None
        for count in build or _ann(store, description, side, graph, pieces):
            done += count
            progress(done, total)


def _pieces(store: Store, description: Description, side: Side) -> Iterator[NDArray[Any]]:
    for number in range(description.parts):
        yield from read_vectors(store.part(side, number), description.width)


def _exact(
    store: Store, description: Description, side: Side, rows: int, pieces: Iterator[NDArray[Any]]
) -> Iterator[int]:
    """Writes one matrix, to be mapped into memory; gives how many rows each step adds."""
    shape = rows, description.width
    with whole(store.index(side, Kind.EXACT)) as temporary:
        yield from write_matrix(temporary, pieces, shape=shape, dtype=description.precision.value)


def _ann(
    store: Store, description: Description, side: Side, graph: Graph, pieces: Iterator[NDArray[Any]]
) -> Iterator[int]:
    """Writes a graph over all vectors; it holds their numbers too. Gives how many rows each step adds."""
    from usearch.index import Index

    index = Index(
        ndim=description.width,
        metric="ip",
        dtype="f16" if description.precision.value == "float16" else "f32",
        connectivity=graph.connectivity,
        expansion_add=graph.expansion,
    )
    first = 0
    for piece in pieces:
        index.add(np.arange(first, first + len(piece), dtype=np.uint64), np.ascontiguousarray(piece))
        first += len(piece)
        yield len(piece)
    with whole(store.index(side, Kind.ANN)) as temporary:
        index.save(str(temporary))
