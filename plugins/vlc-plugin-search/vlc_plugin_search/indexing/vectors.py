"""The embeddings of one side in the order of their rows: from the mapped matrix where there is one, or from the parts.

Shapes: R rows of a block, D embedding width.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, final

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from vlc_plugin_search.embedding import parts
from vlc_plugin_search.embedding.description import Description
from vlc_plugin_search.embedding.store import Store
from vlc_plugin_search.indexing.kind import Kind
from vlc_plugin_search.indexing.matrix import map_matrix
from vlc_plugin_search.sides import Side


@final
class Vectors:
    """The rows of ``side`` in ``store``.

    Args:
        store: A finished folder.
        description: Of it.
        side: Which.
        rows: How many it has.
    """

    def __init__(self, store: Store, description: Description, side: Side, rows: int) -> None:
        self._files = [store.part(side, number) for number in range(description.parts)]
        self._matrix_file = store.index(side, Kind.EXACT)
        self._width, self._rows = description.width, rows
        self._stops: list[int] | None = None
        self._matrix: NDArray[Any] | None = None

    def __len__(self) -> int:
        return self._rows

    def blocks(self, rows: int) -> Iterator[Tensor]:
        """Blocks (R, D) in the precision that they are kept in.

        Args:
            rows: R where there is a matrix; the parts have blocks of their own.

        Raises:
            StorageError: The index or a part is broken.
        """
        matrix = self._mapped()
        if matrix is not None:
            yield from torch.from_numpy(matrix).split(rows)
            return
        for file in self._files:
            for piece in parts.read_vectors(file, self._width):
                yield torch.from_numpy(piece.copy())

    def one(self, row: int) -> Tensor:
        """The embedding (D,) float32 of a row."""
        matrix = self._mapped()
        if matrix is not None:
            return torch.from_numpy(matrix[row].astype(np.float32))
        return torch.tensor(self.rows([row], ("embedding",))[0]["embedding"], dtype=torch.float32)

    def rows(self, wanted: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """What the parts say of some rows, in the order of ``wanted``.

        Raises:
            StorageError: A part is broken.
        """
        stops = self._ends()
        of = [bisect_right(stops, row) for row in wanted]
        found: dict[int, dict[str, Any]] = {}
        for number in sorted(set(of)):
            first = stops[number - 1] if number else 0
            here = sorted({row for row, part in zip(wanted, of, strict=True) if part == number})
            told = parts.read_rows(self._files[number], [row - first for row in here], columns)
            found |= dict(zip(here, told, strict=True))
        return [found[row] for row in wanted]

    def with_key(self, key: str) -> list[int]:
        """All rows whose sample has this key.

        Raises:
            StorageError: A part is broken.
        """
        first, found = 0, []
        for file in self._files:
            keys = parts.read_keys(file)
            found += [first + row for row in pc.indices_nonzero(pc.equal(keys, key)).to_pylist()]
            first += len(keys)
        return found

    def some_keys(self, count: int) -> list[str]:
        """The first ``count`` keys."""
        keys = (str(key) for file in self._files for key in parts.read_keys(file).to_pylist())
        return list(islice(keys, count))

    def _ends(self) -> list[int]:
        if self._stops is None:
            self._stops = list(accumulate(parts.count_rows(file) for file in self._files))
        return self._stops

    def _mapped(self) -> NDArray[Any] | None:
        """The matrix, mapped once for all searches; None where none has been made."""
        if self._matrix is None and self._matrix_file.is_file():
            self._matrix = map_matrix(self._matrix_file, (self._rows, self._width))
        return self._matrix
