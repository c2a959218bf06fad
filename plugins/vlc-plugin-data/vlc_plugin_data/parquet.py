"""Parquet files to columns that are mapped from a file of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vlc_core import DataError
from vlc_plugin_data.columns import Columns, Rows
from vlc_plugin_data.spill import spilled
from vlc_plugin_data.vectors import as_vectors

_BATCH = 1_024  # rows with images in them
_TEXT_BATCH = 65_536


def parquet_rows(file: Any, path: str, columns: Columns) -> Rows:
    """The kept rows of an open Parquet file.

    The columns are copied once into a temporary file that is mapped: random access at the cost of disk space, shared
    between worker processes.

    Raises:
        DataError: The file is no Parquet file, lacks a column, or has one of a type that cannot be used.
    """
    try:
        parquet = pq.ParquetFile(file)
        columns.require(parquet.schema_arrow.names, path)
        return _read(parquet, path, columns)
    except pa.ArrowException as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def _read(parquet: pq.ParquetFile, path: str, columns: Columns) -> Rows:
    if columns.vector is not None:
        return _vector_rows(_spilled(parquet, columns), path, columns)
    assert columns.image is not None  # without it there are vectors
    image_type = _plain_type(parquet.schema_arrow.field(columns.image).type)
    if _is_binary(image_type) or (pa.types.is_struct(image_type) and image_type.get_field_index("bytes") >= 0):
        table = _spilled(parquet, columns)
    elif _is_text(image_type):
        table = _spilled(parquet, columns, _TEXT_BATCH)
    else:
        raise DataError(f"{path}: the column {columns.image!r} holds {image_type}, not paths or encoded images")
    image, key = _image_and_key(table.column(columns.image))
    return Rows(image, _captions(table, path, columns), _labels(table, path, columns), key)


def _vector_rows(table: pa.Table, path: str, columns: Columns) -> Rows:
    assert columns.vector is not None
    if columns.image is None:
        image = pa.chunked_array([pa.nulls(len(table), pa.string())])
    elif _is_text(_plain_type(table.column(columns.image).type)):
        image = _as_text(table.column(columns.image))
    else:
        kind = table.column(columns.image).type
        raise DataError(f"{path}: beside `features` the column {columns.image!r} names images, and it holds {kind}")
    vector = as_vectors(table.column(columns.vector), columns.vector, path)
    return Rows(image, _captions(table, path, columns), _labels(table, path, columns), vector=vector)


def _spilled(parquet: pq.ParquetFile, columns: Columns, batch: int = _BATCH) -> pa.Table:
    """The needed columns of the kept rows, mapped."""
    wanted = list(columns.named())
    schema = pa.schema([parquet.schema_arrow.field(column) for column in wanted])
    batches = parquet.iter_batches(batch, columns=wanted, use_threads=False)
    return spilled(schema, (_kept(pa.Table.from_batches([one]).select(wanted), columns) for one in batches))


def _kept(table: pa.Table, columns: Columns) -> pa.Table:
    for name, wanted in columns.where.items():
        values = table.column(name)
        table = table.filter(pc.is_in(_as_text(values), value_set=pa.array(wanted, pa.string())))
    return table


def _image_and_key(image: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray | None]:
    if not pa.types.is_struct(image.type):
        return (_as_text(image).fill_null("") if _is_text(_plain_type(image.type)) else image), None
    named = image.type.get_field_index("path") >= 0
    return pc.struct_field(image, "bytes"), _as_text(pc.struct_field(image, "path")) if named else None


def _captions(table: pa.Table, path: str, columns: Columns) -> pa.ChunkedArray | None:
    if not columns.texts:
        return None
    parts = [_lists(table.column(name), name, path) for name in columns.texts]
    if len(parts) == 1:
        return parts[0]
    rows = zip(*(part.to_pylist() for part in parts), strict=True)
    joined = [[text for texts in row for text in texts or ()] for row in rows]
    return pa.chunked_array([pa.array(joined, pa.list_(pa.string()))])


def _lists(column: pa.ChunkedArray, name: str, path: str) -> pa.ChunkedArray:
    kind = _plain_type(column.type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if not _is_text(kind.value_type):
            raise DataError(f"{path}: the column {name!r} holds lists of {kind.value_type}, not of texts")
        return column.cast(pa.list_(pa.string()))
    if not _is_text(kind):
        raise DataError(f"{path}: the column {name!r} holds {kind}, not texts or lists of texts")
    chunks = [_single(chunk) for chunk in _as_text(column).chunks]
    return pa.chunked_array(chunks, pa.list_(pa.string()))


def _single(texts: pa.StringArray) -> pa.ListArray:
    """One list of one text for each text."""
    return pa.ListArray.from_arrays(pa.array(np.arange(len(texts) + 1, dtype=np.int32)), texts)


def _labels(table: pa.Table, path: str, columns: Columns) -> pa.ChunkedArray | None:
    if columns.label is None:
        return None
    column = table.column(columns.label)
    kind = _plain_type(column.type)
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise DataError(f"{path}: the column {columns.label!r} holds {kind}, not class names or numbers")
    return _as_text(column).dictionary_encode()


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(_plain_type(column.type)).cast(pa.string())


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))
