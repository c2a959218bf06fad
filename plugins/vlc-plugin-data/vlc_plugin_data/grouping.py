"""Rows of one image brought together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class Groups(NamedTuple):
    """Rows by image: image i has the rows ``order[starts[i] : starts[i + 1]]``, in their order in the table.

    Attributes:
        starts: (images + 1,) int64.
        order: (rows,) int64; None where the table already has the rows of each image together.
    """

    starts: NDArray[np.int64]
    order: NDArray[np.int64] | None

    def rows(self, image: int) -> range | NDArray[np.int64]:
        """The rows of an image."""
        start, stop = int(self.starts[image]), int(self.starts[image + 1])
        return range(start, stop) if self.order is None else self.order[start:stop]


def group_rows(images: pa.ChunkedArray) -> Groups:
    """Groups rows by equal image, images in the order of their first row."""
    encoded = pc.dictionary_encode(images)  # one dictionary for all chunks
    codes = np.concatenate([c.indices.to_numpy() for c in encoded.chunks]) if encoded.num_chunks else np.empty(0, int)
    del encoded
    pa.default_memory_pool().release_unused()  # the table of distinct paths, as large as the paths themselves
    counts = np.bincount(codes) if len(codes) else np.empty(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    if np.all(np.diff(codes) >= 0):
        return Groups(starts, None)
    return Groups(starts, np.argsort(codes, kind="stable"))


def one_each(count: int) -> Groups:
    """Every row an image of its own."""
    return Groups(np.arange(count + 1, dtype=np.int64), None)
