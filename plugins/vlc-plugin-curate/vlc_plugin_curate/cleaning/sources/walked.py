"""What only Python can read, sample by sample: tars, folders, annotations, images inside tables.

Images are judged by their headers. What was read is kept in parts: a command that was stopped goes on after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from vlc_core import DataError, Dataset
from vlc_core.progress import Tracker
from vlc_plugin_curate.cleaning.stages import settle
from vlc_plugin_data.inspecting.header import VECTOR, read_header
from vlc_plugin_data.inspecting.walk import walk

PART = 10_000
"""Samples that are kept together."""

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("part", pa.int32()),
        ("key", pa.string()),
        ("text", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("reason", pa.string()),
    ]
)
"""A row for each text; without a text for a sample without any, and for one that cannot be read, with the reason."""

Locate = Callable[[int, str], str]
"""The number of a sample and what it is called, to where its image is."""


class _Seen(NamedTuple):
    row: int
    key: str
    texts: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    reason: str = ""


def read_samples(dataset: Dataset, folder: Path, *, name: str, locate: Locate, workers: int = 0) -> None:
    """Writes what is to be known of every sample into parts in ``folder``.

    Args:
        dataset: What is read.
        folder: Parts that are there are kept.
        name: On the progress bar.
        locate: Says where images are.
        workers: Processes that read; 0 reads in this one.

    Raises:
        StorageError: A part cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Tracker(f"reading {name}") as tracker:
        for start in range(0, len(dataset), PART):
            path = folder / f"part-{start // PART:06d}.parquet"
            if path.exists():
                continue
            rows = range(start, min(start + PART, len(dataset)))
            table = _as_table(_told(walk(dataset, rows, _look, workers=workers), tracker, len(dataset)), locate)
            partial_path = folder / f".{path.name}.partial"
            pq.write_table(table, partial_path)
            settle(partial_path, path)


def _look(dataset: Dataset, row: int) -> _Seen:
    try:
        sample = dataset[row]
        header = read_header(sample.image)
    except DataError as error:
        return _Seen(row, "", reason=str(error))
    if header.format == VECTOR:
        return _Seen(row, sample.key, sample.texts)
    return _Seen(row, sample.key, sample.texts, header.width, header.height)


def _told(seen: Iterator[_Seen], tracker: Tracker, total: int) -> Iterator[_Seen]:
    for one in seen:
        yield one
        tracker(one.row + 1, total)


def _as_table(seen: Iterator[_Seen], locate: Locate) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for one in seen:
        key = "" if one.reason else locate(one.row, one.key)
        for part, text in enumerate(one.texts or (None,)):
            values: Sequence[Any] = (one.row, part, key, text, one.width, one.height, one.reason)
            for name, value in zip(SCHEMA.names, values, strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=SCHEMA)


def within(root: str) -> Locate:
    """Images are files in a folder, called by their paths there."""
    return partial(_within, root.rstrip("/"))


def _within(root: str, row: int, key: str) -> str:
    return key if "://" in key or key.startswith("/") else f"{root}/{key}"


def by_name(row: int, key: str) -> str:
    """Images have no place of their own."""
    return key
