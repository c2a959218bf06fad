"""A Spark cluster that is there already, or Spark in this process for a look."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import ibis
import ibis.expr.types as ir

from vlc_core.errors import RecipeError, StorageError, VlcError
from vlc_core.network import answers
from vlc_core.terminal import waiting
from vlc_plugin_curate.cleaning.engines.engine import FIRST, SECOND, Engine

PATIENCE = 3.0
"""Seconds that a master may take to accept a connection; Spark itself would try for minutes."""

_SETTINGS = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.sql.ansi.enabled": "true"}
_ALONE = {
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}
"""Of a Spark in this process: another machine need not reach it, and there is little to share out."""

_MASTER = re.compile(r"spark://(?P<hosts>[^/,:]+:\d+(?:,[^/,:]+:\d+)*)")
_OTHERS = re.compile(r"local(\[(\d+|\*)(,\s*\d+)?\])?|yarn|k8s://.+")


@ibis.udf.scalar.builtin(name="xxhash64")  # type: ignore[untyped-decorator,unused-ignore]
def _hash(value: str) -> int:  # type: ignore[empty-body]
    """Spark's own."""


def is_master(name: str) -> bool:
    """Whether ``name`` is written as Spark writes a master."""
    return bool(_MASTER.fullmatch(name) or _OTHERS.fullmatch(name))


def check_master(master: str, *, patience: float = PATIENCE) -> None:
    """Refuses in seconds what Spark would wait for.

    Raises:
        RecipeError: PySpark or Java is missing.
        StorageError: No master answers.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise RecipeError(f"--engine {master} needs PySpark: pip install 'vlc-plugin-curate[spark]'")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise RecipeError(f"--engine {master} needs Java: install a JRE of version 17 or later, or set JAVA_HOME")
    found = _MASTER.fullmatch(master)
    if found is None:
        return
    if not any(answers(f"spark://{place}", seconds=patience) for place in found["hosts"].split(",")):
        raise StorageError(f"no Spark master answers at {master}: check that it runs, and its host and port")


@final
class Spark(Engine):
    """An engine on a cluster, whose machines see the paths of the sources and of the result as this one does.

    Args:
        master: As Spark writes it.

    Raises:
        VlcError: See :func:`check_master`; or the session could not be started.
    """

    name = "spark"
    group = "$1"
    orderly = False

    def __init__(self, master: str) -> None:
        check_master(master)
        settings = _SETTINGS | (_ALONE if master.startswith("local") else {})
        with waiting(f"starting Spark at {master} …"), _told(master), _without_pandas():
            from pyspark.sql import SparkSession

            builder = SparkSession.builder.master(master).appName("vlc data clean")
            for key, value in settings.items():
                builder = builder.config(key, value)
            self._session = builder.getOrCreate()
            self._session.sparkContext.setLogLevel("ERROR")
            self._connection = ibis.pyspark.connect(self._session)
        self._master = master

    def table(self, path: Path) -> ir.Table:
        with _told(self._master):
            return self._view(self._session.read.parquet(_pattern(str(path))))

    def numbered(self, path: str) -> ir.Table:
        with _told(self._master):
            read = self._session.read.parquet(_pattern(path))
            return self._view(read.select("*", read["_metadata.row_index"].alias("file_row_number")))

    def write(self, expression: ir.Table, path: Path, *, what: str, last: bool = False) -> None:
        with waiting(f"{what} …"), _told(self._master):
            self._session.sql(self._connection.compile(expression)).write.parquet(_uri(str(path)))

    def rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        with _told(self._master):
            return [row.asDict() for row in self._session.sql(self._connection.compile(expression)).collect()]

    def hashed(self, value: ir.StringValue) -> ir.IntegerValue:
        return _hash(value)

    def hashed_word(self, word: ir.StringValue) -> ir.IntegerValue:
        return _hash(word)

    def neighbours(self, table: ir.Table, items: ir.ArrayValue, keep: Mapping[str, ir.Value]) -> ir.Table:
        listed = table.select(**keep, items=items)
        both = listed.select(*keep, both=listed.items.zip(listed.items[1:]).unnest())
        found = both.select(*keep, **{FIRST: both.both["f1"], SECOND: both.both["f2"]})
        return found.filter(found[SECOND].notnull())

    def close(self) -> None:
        self._session.stop()

    def _view(self, frame: Any) -> ir.Table:
        name = f"vlc_{ibis.util.gen_name('stage')}"
        frame.createOrReplaceTempView(name)
        return self._connection.table(name)


def _uri(path: str) -> str:
    return path if "://" in path else f"file://{Path(path).absolute()}"


def _pattern(path: str) -> str:
    """The URI of one path: Spark reads patterns, in which some characters stand for others."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", _uri(path))


@contextmanager
def _without_pandas() -> Iterator[None]:
    """PySpark warns of pandas newer than it knows when it is imported; nothing here goes through pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*PySpark.*pandas", FutureWarning)
        yield


@contextmanager
def _told(master: str) -> Iterator[None]:
    """Turns what Spark raises into a sentence."""
    try:
        yield
    except (VlcError, KeyboardInterrupt):
        raise
    except Exception as error:  # Py4J, PySpark and Java have no base in common
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise VlcError(f"Spark at {master} gave up: {first.strip()}: its own log says more") from error
