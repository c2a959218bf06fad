"""From queries to what is found for them.

Shapes: Q queries, D embedding width, K results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_core.errors import DataError, RecipeError, StorageError
from vlc_core.inference import DualEncoder
from vlc_core.loading.decode import decode
from vlc_core.model.digest import model_digest
from vlc_core.nearest import did_you_mean
from vlc_plugin_search.embedding.parts import COLUMNS
from vlc_plugin_search.embedding.row import Row
from vlc_plugin_search.embedding.store import Store
from vlc_plugin_search.indexing.ann import NOWHERE, best_by_graph
from vlc_plugin_search.indexing.exact import best, rows_at_once
from vlc_plugin_search.indexing.kind import Kind as IndexKind
from vlc_plugin_search.indexing.vectors import Vectors
from vlc_plugin_search.searching.query import Kind, Query, combine
from vlc_plugin_search.sides import Side

_KEYS_TO_COMPARE = 2_000
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that was found.

    Attributes:
        rank: 1 for the best.
        score: The cosine with the query.
        row: What is kept of it; of its texts the one that was found, where texts are searched.
    """

    rank: int
    score: float
    row: Row

    def as_json(self) -> dict[str, Any]:
        return {"rank": self.rank, "score": self.score} | self.row._asdict()


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for a query."""

    query: Query
    hits: tuple[Hit, ...]

    def as_json(self) -> dict[str, Any]:
        change = asdict(self.query.change)
        return {"query": {"kind": self.query.kind, "value": self.query.value} | change} | {
            "hits": [hit.as_json() for hit in self.hits]
        }


@final
class Search:
    """Searches a folder that ``vlc embed`` wrote, with the model that it was written with.

    Args:
        run: The model's run, or its model folder.
        folder: The embeddings.
        side: What is looked through; images where there are any, if None.
        kind: Which index; if None a graph where that is all there is, and otherwise all vectors.
        expansion: The candidates that a search in the graph follows.

    Raises:
        StorageError: The folder is not finished, lacks what is asked for, or is of another model.
        RecipeError: The side is not among what was embedded.
    """

    def __init__(
        self,
        run: Path,
        folder: Path,
        *,
        side: Side | None = None,
        kind: IndexKind | None = None,
        expansion: int = 256,
    ) -> None:
        store = Store(folder)
        self.description, self.counts = store.open()
        digest = model_digest(run)
        if digest != self.description.digest:
            raise StorageError(
                f"{folder} holds embeddings of another model ({self.description.digest[:_SHOWN]}, made of "
                f"{self.description.model}) than {run} ({digest[:_SHOWN]}): search with that one, or embed again"
            )
        self.side = _side(side, self.counts.rows, folder)
        self._graph = store.index(self.side, IndexKind.ANN)
        self.kind = _kind(kind, self._graph, store.index(self.side, IndexKind.EXACT))
        self._vectors = Vectors(store, self.description, self.side, self.counts.rows[self.side])
        self._expansion = expansion
        self._model = DualEncoder.load(run)

    def __len__(self) -> int:
        return len(self._vectors)

    def __call__(self, queries: Sequence[Query], k: int) -> list[Answer]:
        """The ``k`` best for each query; a sample that a query is like is not among its own.

        Raises:
            RecipeError: There is no sample of that key, or nothing is left of a query.
            DataError: An image cannot be read.
            StorageError: The index or a part is broken.
        """
        own = [self._own(query) for query in queries]
        vectors_QD = torch.cat([self._vector(query, rows) for query, rows in zip(queries, own, strict=True)])
        wanted = k + max(map(len, own))
        if self.kind is IndexKind.ANN:
            found = best_by_graph(vectors_QD, self._graph, wanted, expansion=self._expansion)
        else:
            found = best(vectors_QD, self._vectors.blocks(rows_at_once(len(vectors_QD))), wanted)
        return [
            Answer(query, self._hits(scores, rows, set(left_out), k))
            for query, scores, rows, left_out in zip(queries, *found, own, strict=True)
        ]

    def sample_of(self, query: Query) -> Hit:
        """The sample that a query is like; raises as a search for it does."""
        (told,) = self._vectors.rows(self._own(query)[:1], COLUMNS)
        return _hit(0, 1.0, told)

    def _own(self, query: Query) -> list[int]:
        """The rows that the query itself is."""
        if query.kind is not Kind.LIKE:
            return []
        found = self._vectors.with_key(query.value)
        if not found:
            hint = did_you_mean(query.value, self._vectors.some_keys(_KEYS_TO_COMPARE))
            raise RecipeError(f"--like {query.value}: no embedded sample has this key{hint}")
        return found

    def _vector(self, query: Query, own: Sequence[int]) -> Tensor:
        """The query as (1, D)."""
        if query.kind is Kind.LIKE:
            base_1D = torch.nn.functional.normalize(self._vectors.one(own[0])[None], dim=1)
        elif query.kind is Kind.TEXT:
            base_1D = self._model.encode_text([query.value])
        else:
            base_1D = self._image(query.value)
        if not query.change.texts:
            return base_1D
        return combine(base_1D, self._model.encode_text(query.change.texts), query.change.weights)

    def _image(self, path: str) -> Tensor:
        if self._model.vector_width is not None:
            raise RecipeError(f"--image {path}: this model reads vectors and no pictures: use --like KEY, or --text")
        return self._model.encode_image([decode(read_image(path))])

    def _hits(
        self, scores: NDArray[np.float32], rows: NDArray[np.int64], left_out: set[int], k: int
    ) -> tuple[Hit, ...]:
        kept = [
            (score, row)
            for score, row in zip(scores.tolist(), rows.tolist(), strict=True)
            if row != NOWHERE and row not in left_out
        ][:k]
        told = self._vectors.rows([row for _, row in kept], COLUMNS)
        return tuple(_hit(rank, score, of) for rank, ((score, _), of) in enumerate(zip(kept, told, strict=True), 1))


def read_image(path: str) -> bytes:
    """The file at ``path``, if it holds a picture.

    Raises:
        DataError: It does not, or cannot be read.
    """
    try:
        data = Path(path).read_bytes()
        decode(data)
    except OSError as error:
        raise DataError(f"--image {path} cannot be read ({error.strerror or error}): name an image file") from error
    except DataError as error:
        raise DataError(f"--image {path}: {error}; name another image") from error
    return data


def _hit(rank: int, score: float, of: dict[str, Any]) -> Hit:
    return Hit(rank, score, Row(**of | {"texts": tuple(of["texts"])}))


def _side(side: Side | None, rows: dict[Side, int], folder: Path) -> Side:
    there = [one for one in Side if rows.get(one)]
    if side is None:
        return there[0]
    if side not in there:
        raise RecipeError(f"--among {side}: {folder} holds no {side} embeddings: run vlc embed --part {side}")
    return side


def _kind(kind: IndexKind | None, graph: Path, matrix: Path) -> IndexKind:
    if kind is None:
        return IndexKind.ANN if graph.is_file() and not matrix.is_file() else IndexKind.EXACT
    if kind is IndexKind.ANN and not graph.is_file():
        raise StorageError(f"there is no index {graph}: make it by the same vlc embed with --index ann")
    return kind
