"""Rows of one image brought together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_PART = 1_000_000  # rows that are looked up at a time, about


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
    first = _first_rows(images)
    codes = (np.cumsum(first == np.arange(len(first))) - 1)[first]
    counts = np.bincount(codes) if len(codes) else np.empty(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    if np.all(np.diff(codes) >= 0):
        return Groups(starts, None)
    return Groups(starts, np.argsort(codes, kind="stable"))


def _first_rows(images: pa.ChunkedArray) -> NDArray[np.int64]:
    """For each row the first that has the same image, (rows,).

    Rows are looked up in parts, so that the table of distinct names never holds more than some of them.
    """
    parts = 1 + len(images) // _PART
    sums = [_byte_sums(chunk) % parts for chunk in images.chunks]
    first = np.arange(len(images))
    part_of = np.concatenate(sums) if sums else first
    for part in range(parts):
        rows = np.flatnonzero(part_of == part)
        chunks = zip(images.chunks, sums, strict=True)
        names = pa.chunked_array([chunk.filter(pa.array(one == part)) for chunk, one in chunks], images.type)
        encoded = pc.dictionary_encode(names)  # one dictionary for all chunks, in the order of first rows
        codes = [chunk.indices.to_numpy() for chunk in encoded.chunks]
        if len(rows):
            _, firsts, inverse = np.unique(np.concatenate(codes), return_index=True, return_inverse=True)
            first[rows] = rows[firsts[inverse]]
        del names, encoded
        pa.default_memory_pool().release_unused()
    return first


def _byte_sums(texts: pa.StringArray) -> NDArray[np.uint32]:
    """The sum of each text's bytes: equal for equal texts, and no more is asked of it."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    filled = np.diff(ends) > 0
    sums = np.zeros(len(texts), np.uint32)
    if filled.any():  # empty texts have no bytes between those of their neighbours
        sums[filled] = np.add.reduceat(np.frombuffer(data, np.uint8)[: ends[-1]], ends[:-1][filled], dtype=np.uint32)
    return sums


def one_each(count: int) -> Groups:
    """Every row an image of its own."""
    return Groups(np.arange(count + 1, dtype=np.int64), None)
