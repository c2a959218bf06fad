"""The exact index of a side: all its embeddings as one matrix in a file, written by large pages and mapped into memory.

Shapes: R rows of a piece, D embedding width.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vlc_core.errors import StorageError

PAGE = 2 << 20
"""Bytes of a large page of memory."""


def write_matrix(
    file: Path, pieces: Iterable[NDArray[Any]], *, shape: tuple[int, int], dtype: DTypeLike
) -> Iterator[int]:
    """Writes ``file`` as numpy does, and flushes it to the disk; gives how many rows each step adds. Raises OSError.

    Args:
        file: Of the ending ``.npy``.
        pieces: (R, D) each, of ``dtype``.
        shape: Of all of them together.
        dtype: Of the numbers.
    """
    with file.open("wb", buffering=PAGE) as opened:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(opened, header)
        for piece in pieces:
            write_by_pages(opened, np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
            yield len(piece)
        opened.flush()
        os.fsync(opened.fileno())


def write_by_pages(file: BinaryIO, data: memoryview) -> None:
    """Adds bytes to a file whose buffer is of one large page, and which is given whole ones by that.

    Linux then keeps what it has of the file in large pages, and maps those: reading them from end to end takes as long
    as reading memory of one's own, where pages of 4 KiB, half a million for a million rows, take a tenth longer.
    """
    while data:
        room = PAGE - file.tell() % PAGE
        file.write(data[:room])
        data = data[room:]


def map_matrix(file: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """The matrix in ``file``.

    Raises:
        StorageError: It is broken, or of another shape.
    """
    try:
        # Copy on write: nothing is ever written, but torch takes only what could be.
        matrix: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
        if matrix.shape != shape:
            raise ValueError(f"it holds {matrix.shape} numbers, and the parts {shape}")
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(
            f"the index {file} is broken ({error}): remove it and run the same vlc embed again"
        ) from error
    return matrix
