"""CSV, TSV and JSONL files, row by row into Arrow: a file never stands in memory as Python objects."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple, TextIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vlc_core import DataError
from vlc_plugin_data.columns import Columns, Rows, keeps
from vlc_plugin_data.spill import spilled
from vlc_plugin_data.vectors import VECTOR, of_json

_CHUNK = 8_192
_PEEK = 1_000  # objects of a JSONL file whose keys are its columns: not every object need have every key
_LONGEST_FIELD = 1 << 30
_LINE_BREAK = re.compile("\r\n|\r|\n")

_STRING = pa.string()


class Chunk(NamedTuple):
    """Some rows of a text table, column by column.

    Attributes:
        images: Paths.
        captions: Of all rows, one after the other.
        counts: How many captions each row has.
        labels: As written.
        vectors: Lists of numbers, where they were asked for.
    """

    images: list[str | None]
    captions: list[str]
    counts: list[int]
    labels: list[str | None]
    vectors: pa.Array | None = None


def csv_chunks(file: TextIO, path: str, columns: Columns, delimiter: str) -> Iterator[Chunk]:
    """The kept rows of a CSV file, which starts with its header.

    Raises:
        DataError: No header, a missing column, a row of another width than the header, quotes that do not match.
    """
    limit = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header:
            raise DataError(f"{path}, line 1: there is no header with the names of the columns")
        columns.require(header, f"{path}, line 1{_other_delimiter(header, delimiter)}")
        line = reader.line_num
        while rows := list(islice(reader, _CHUNK)):
            if any(len(row) != len(header) for row in rows):
                rows = _regular(rows, len(header), path, line)
            yield _columns_of(rows, columns, _places(header, columns))
            line = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(limit)


def json_chunks(file: TextIO, path: str, columns: Columns) -> Iterator[Chunk]:
    """The kept rows of a file with one JSON object a line.

    Raises:
        DataError: A line that is no object, a missing column, a value of the wrong type.
    """
    objects = _json_objects(file, path)
    first = list(islice(objects, _PEEK))
    if not first:
        raise DataError(f"{path} holds no row")
    found = dict.fromkeys(key for _, row in first for key in row)
    columns.require(found, f"{path}, line {first[0][0]}")
    stream = chain(first, objects)
    while rows := list(islice(stream, _CHUNK)):
        kept = [
            _json_row(row, columns, f"{path}, line {line}")
            for line, row in rows
            if keeps(columns.where, [_plain(row.get(name)) for name in columns.where])
        ]
        captions = [text for one in kept for text in one.texts]
        counts = [len(one.texts) for one in kept]
        vectors = None if columns.vector is None else pa.array([one.vector for one in kept], VECTOR)
        yield Chunk([one.image for one in kept], captions, counts, [one.label for one in kept], vectors)


def to_arrow(chunks: Iterable[Chunk], columns: Columns) -> Rows:
    """The rows, mapped from a temporary file."""
    fields = [("image", _STRING), ("captions", pa.list_(_STRING)), ("label", _STRING)]
    if columns.vector is not None:
        fields.append(("vector", VECTOR))
    schema = pa.schema(fields)
    table = spilled(schema, (_as_table(chunk, schema) for chunk in chunks))
    return Rows(
        table.column("image"),
        table.column("captions") if columns.texts else None,
        None if columns.label is None else table.column("label").dictionary_encode(),
        vector=None if columns.vector is None else table.column("vector"),
    )


def _as_table(chunk: Chunk, schema: pa.Schema) -> pa.Table:
    ends = pa.array(np.cumsum([0, *chunk.counts]), pa.int32())
    captions = pa.ListArray.from_arrays(ends, pa.array(chunk.captions, _STRING))
    labels = pa.array(chunk.labels, _STRING)
    vectors = [] if chunk.vectors is None else [chunk.vectors]
    return pa.Table.from_arrays([pa.array(chunk.images, _STRING), captions, labels, *vectors], schema=schema)


def _columns_of(rows: list[list[str]], columns: Columns, places: _Places) -> Chunk:
    if places.where:
        rows = [row for row in rows if keeps(columns.where, [row[place] for place in places.where])]
    image, texts, label = places.image, places.texts, places.label
    assert image is not None  # only vectors do without, and no CSV holds those
    captions = [row[text] for row in rows for text in texts]
    labels = [None if label is None else row[label] for row in rows]
    return Chunk([row[image] for row in rows], captions, [len(texts)] * len(rows), labels)


def _regular(rows: list[list[str]], width: int, path: str, line: int) -> list[list[str]]:
    """The rows without blank lines, where ``line`` lines of the file come before them.

    Raises:
        DataError: A row has another width than the header.
    """
    for row in rows:
        line += 1 + sum(len(_LINE_BREAK.findall(field)) for field in row)
        if row and len(row) != width:
            raise DataError(_ragged(path, line, len(row), width))
    return [row for row in rows if row]


class _Places(NamedTuple):
    """Where in a row the columns stand."""

    image: int | None
    texts: list[int]
    label: int | None
    where: list[int]


def _places(header: list[str], columns: Columns) -> _Places:
    place = {name: i for i, name in reversed(list(enumerate(header)))}
    label = None if columns.label is None else place[columns.label]
    texts = [place[name] for name in columns.texts]
    image = None if columns.image is None else place[columns.image]
    return _Places(image, texts, label, [place[name] for name in columns.where])


def _other_delimiter(header: list[str], delimiter: str) -> str:
    """A remark for the message where the header was not cut at all and another delimiter stands in it."""
    others = [other for other in (",", "\t", ";", "|") if other != delimiter and other in header[0]]
    if len(header) > 1 or not others:
        return ""
    return f" (its fields seem to be separated by {others[0]!r}: set the option `delimiter`)"


def _ragged(path: str, line: int, fields: int, expected: int) -> str:
    advice = "put texts that contain the delimiter or line breaks between double quotes"
    many = "1 field" if fields == 1 else f"{fields} fields"
    return f"{path}, line {line}: {many} where the header has {expected}; {advice}"


def _json_objects(file: TextIO, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except RecursionError as error:
            raise DataError(f"{path}, line {number}: its JSON is nested too deeply") from error
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            kind = "a list" if isinstance(row, list) else "no object"
            raise DataError(f"{path}, line {number}: {kind}; write one JSON object a line, {{...}}")
        yield number, row


class _Row(NamedTuple):
    """What an object of a JSONL file says."""

    image: str | None
    texts: list[str]
    label: str | None
    vector: NDArray[np.float32] | None


def _json_row(row: dict[str, Any], columns: Columns, place: str) -> _Row:
    captions: list[str] = []
    for name in columns.texts:
        captions.extend(_texts(row.get(name), name, place))
    image = None if columns.image is None else row.get(columns.image)
    if image is not None and not isinstance(image, str):
        raise DataError(f"{place}: {columns.image!r} is {image!r}, not a path")
    label = None if columns.label is None else _label(row.get(columns.label), columns.label, place)
    vector = None if columns.vector is None else of_json(row.get(columns.vector), columns.vector, place)
    return _Row(None if columns.image is None else _encodable(image or ""), captions, label, vector)


def _texts(value: Any, name: str, place: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    for one in values:
        if one is not None and not isinstance(one, str):
            raise DataError(f"{place}: {name!r} holds {one!r}, not a text or a list of texts")
    return [_encodable(one or "") for one in values]


def _label(value: Any, name: str, place: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return _encodable(str(value))
    raise DataError(f"{place}: {name!r} is {value!r}, not a class name or number")


def _encodable(text: str) -> str:
    """Half of a surrogate pair, which JSON can spell and UTF-8 cannot, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
