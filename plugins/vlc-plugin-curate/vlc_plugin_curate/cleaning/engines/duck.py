"""DuckDB in this process: larger than memory, on a few threads."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, final

import duckdb
import ibis
import ibis.expr.types as ir

from vlc_core.errors import StorageError, VlcError
from vlc_core.progress import Tracker
from vlc_plugin_curate.cleaning.engines.engine import FIRST, SECOND, Engine

_LOOK = 0.2  # seconds between two looks at how far a query is
_WHOLE = 100
_LAST = "FORMAT parquet, DICTIONARY_SIZE_LIMIT 64"
"""Names and texts are mostly different ones: to look for those that are not takes longer than to write them out."""

_BETWEEN = f"{_LAST}, COMPRESSION uncompressed"
"""Numbers and texts that are read once or twice and then removed are not worth compressing."""


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator,unused-ignore]
def _hash(value: str) -> ibis.dtype("uint64"):  # type: ignore[valid-type]
    """DuckDB's own."""


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator,unused-ignore]
def _both(one: ibis.dtype("uint64"), other: ibis.dtype("uint64")) -> ibis.dtype("uint64"):  # type: ignore[valid-type]
    """The same, of two numbers."""


class Limits(NamedTuple):
    """What DuckDB may take.

    Attributes:
        memory: Bytes that its tables may hold; what does not fit goes to ``temporary``.
        threads: How many.
        temporary: A folder, which need not be there.
    """

    memory: int
    threads: int
    temporary: Path


@final
class DuckDb(Engine):
    """An engine without a server.

    Args:
        limits: What it may take.
    """

    name = "duckdb"
    group = r"\1"
    orderly = True

    def __init__(self, limits: Limits) -> None:
        self._connection = ibis.duckdb.connect(
            threads=limits.threads,
            memory_limit=f"{limits.memory // 1000}KB",
            temp_directory=str(limits.temporary),
            # Cardinalities of unnested lists are guesses: joins are written with the smaller table on the right.
            disabled_optimizers="build_side_probe_side",
        )
        self.sql = self._connection.con

    def table(self, path: Path) -> ir.Table:
        pattern = as_pattern(str(path))
        return self._connection.read_parquet(f"{pattern}/*.parquet" if path.is_dir() else pattern)

    def numbered(self, path: str) -> ir.Table:
        with told():
            return self._connection.read_parquet(as_pattern(path), file_row_number=True)

    def write(self, expression: ir.Table, path: Path, *, what: str, last: bool = False) -> None:
        with told():
            self.copy(self._connection.compile(expression), path, what=what, last=last)

    def copy(self, query: str, path: Path, *, what: str, last: bool = True) -> None:
        """Writes the rows of a query, with a bar on stderr.

        Args:
            query: As SQL. Only what it sorts, or takes from one table without joining any, stays in order.
            path: A file that is not there.
            what: On the bar.
            last: Whether people read it too, so that it is to be small.

        Raises:
            duckdb.Error: The query failed.
        """
        self.sql.execute(f"SET preserve_insertion_order = {str(last).lower()}")
        with _watched(self.sql, what):
            self.sql.execute(f"COPY ({query}) TO {quoted(str(path))} ({_LAST if last else _BETWEEN})")

    def rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        with told():
            found = self.sql.execute(self._connection.compile(expression)).fetchall()
        return [dict(zip(expression.columns, row, strict=True)) for row in found]

    def hashed(self, value: ir.StringValue) -> ir.IntegerValue:
        # Of ten million texts that are built alike, some dozens share a hash of DuckDB's: it takes eight bytes at a
        # time, and two changes may cancel out. A letter behind the last one moves what is taken at the end.
        return _both(_hash(value), _hash(value + "+"))

    def hashed_word(self, word: ir.StringValue) -> ir.IntegerValue:
        return _hash(word)

    def neighbours(self, table: ir.Table, items: ir.ArrayValue, keep: Mapping[str, ir.Value]) -> ir.Table:
        listed = table.select(**keep, items=items)
        # Two lists of one length unnest side by side in DuckDB.
        both = {FIRST: listed.items[:-1].unnest(), SECOND: listed.items[1:].unnest()}
        return listed.select(*keep, **both)

    def close(self) -> None:
        self._connection.disconnect()


def as_pattern(path: str) -> str:
    """The pattern of one path: DuckDB reads patterns, in which some characters stand for others."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def quoted(text: str) -> str:
    """``text`` as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def told() -> Iterator[None]:
    """Turns what DuckDB raises into a sentence."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise VlcError(f"DuckDB ran out of memory ({_first(error)}): give it more by --memory") from error
    except duckdb.IOException as error:
        raise StorageError(f"DuckDB could not read or write a file ({_first(error)})") from error


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _watched(connection: duckdb.DuckDBPyConnection, what: str) -> Iterator[None]:
    """A bar for as long as a query runs: another thread asks how far it is."""
    done = threading.Event()
    with Tracker(what) as tracker:
        watcher = threading.Thread(target=_watch, args=(connection.query_progress, tracker, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _watch(progress: Callable[[], float], tracker: Tracker, done: threading.Event) -> None:
    tracker(0, _WHOLE)
    while not done.wait(_LOOK):
        tracker(int(max(0.0, min(progress(), _WHOLE))), _WHOLE)
