"""Columns of precomputed embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vlc_core import DataError

VECTOR = pa.list_(pa.float32())


def as_vectors(column: pa.ChunkedArray, name: str, path: str) -> pa.ChunkedArray:
    """A column of lists of numbers, of one length or of any, as lists of float32.

    Raises:
        DataError: It holds something else.
    """
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DataError(f"{path}: the column {name!r} holds {kind}, not lists of numbers")
    return column.cast(VECTOR)


def of_json(value: Any, name: str, place: str) -> NDArray[np.float32] | None:
    """The vector of an object; None where it has none.

    Raises:
        DataError: ``value`` is no list of numbers.
    """
    if value is None:
        return None
    if not isinstance(value, list) or not all(type(number) in (float, int) for number in value):
        raise DataError(f"{place}: {name!r} is not a list of numbers")
    return np.array(value, np.float32)


def width(vectors: pa.ChunkedArray, path: str) -> int:
    """How many numbers each of ``vectors`` has.

    Raises:
        DataError: They differ in that, or there is none.
    """
    found = sorted(length for length in pc.unique(pc.list_value_length(vectors)).to_pylist() if length is not None)
    if len(found) != 1 or found[0] == 0:
        said = " and ".join(map(str, found[:2])) if found else "no"
        raise DataError(f"{path}: the column that `features` names has vectors of {said} numbers; give all one length")
    return int(found[0])


def require_names(images: pa.ChunkedArray, name: str, path: str) -> None:
    """Refuses rows that do not say which image they are of, which would all be taken for one.

    Raises:
        DataError: There are some.
    """
    if pc.any(pc.equal(pc.fill_null(images, ""), "")).as_py():
        raise DataError(f"{path}: rows have no name in the column {name!r}: fill it, or leave the option `image` out")


def one(vectors: pa.ChunkedArray, row: int) -> NDArray[np.float32] | None:
    """The vector of a row, (F,); None where it has none."""
    found = vectors[row].values
    return None if found is None else found.to_numpy()
