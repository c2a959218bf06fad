"""A manifest's file to its rows, whatever its format and wherever it is stored."""

from __future__ import annotations

import io
from typing import IO, Any, Literal, cast

import fsspec
import pyarrow as pa

from vlc_core import DataError
from vlc_plugin_data.columns import Columns, Rows
from vlc_plugin_data.parquet import parquet_rows
from vlc_plugin_data.retries import patiently
from vlc_plugin_data.text_tables import csv_chunks, json_chunks, to_arrow

Format = Literal["csv", "tsv", "jsonl", "parquet"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_table(path: str, columns: Columns, *, format: Format | None = None, delimiter: str | None = None) -> Rows:
    """The kept rows of the file at ``path``.

    Text is UTF-8, with or without a byte order mark; bytes that are not are read as U+FFFD.

    Raises:
        DataError: The file is missing, empty or malformed, lacks a column, or keeps no row.
        StorageError: Its store stays down.
    """
    chosen = format or _format_of(path)
    try:
        rows = patiently(lambda: _opened(path, columns, chosen, delimiter), path)
    except FileNotFoundError as error:
        raise DataError(f"there is no manifest {path}") from error
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"the manifest {path} cannot be read: {error.strerror or error}") from error
    except (OSError, EOFError, ImportError, ValueError) as error:
        raise DataError(f"the manifest {path} cannot be read: {error}") from error
    if len(rows.image) == 0:
        kept = f" with {columns.where}" if columns.where else ""
        raise DataError(f"{path} holds no row{kept}")
    return rows


def _opened(path: str, columns: Columns, chosen: Format, delimiter: str | None) -> Rows:
    with fsspec.open(path, "rb", compression="infer") as file:
        return _read(cast("IO[bytes]", file), path, columns, chosen, delimiter)


def _read(file: IO[bytes], path: str, columns: Columns, chosen: Format, delimiter: str | None) -> Rows:
    if columns.vector is not None and chosen in ("csv", "tsv"):
        raise DataError(f"{path}: the option `features` needs lists of numbers: write the table as Parquet or JSONL")
    if chosen == "parquet":
        return parquet_rows(pa.PythonFile(file, mode="r"), path, columns)
    buffered = io.BufferedReader(cast("io.RawIOBase", _Raw(file)))
    if buffered.peek(2)[:2] in _UTF_16:
        raise DataError(f"{path} is UTF-16: save it as UTF-8")
    text = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="replace", newline="" if chosen != "jsonl" else None)
    if chosen == "jsonl":
        return to_arrow(json_chunks(text, path, columns), columns)
    return to_arrow(csv_chunks(text, path, columns, delimiter or ("\t" if chosen == "tsv" else ",")), columns)


def _format_of(path: str) -> Format:
    name = without_compression(path.lower())
    for suffix, found in SUFFIXES.items():
        if name.endswith(suffix):
            return found
    raise DataError(
        f"{path}: its name does not tell its format; end it in .csv, .tsv, .jsonl or .parquet, "
        "or set the option `format`"
    )


def without_compression(name: str) -> str:
    """``name`` without the ending of a compressed file."""
    for ending in _COMPRESSED:
        name = name.removesuffix(ending)
    return name


class _Raw(io.RawIOBase):
    """Any readable binary file as one that ``io`` can buffer; those of some stores lack ``readinto``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
