"""Tables of links: Parquet is read where it is, and text tables are made Parquet by DuckDB, without Python's help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import ibis
import ibis.expr.types as ir

from vlc_core.naming import SourceSpec
from vlc_plugin_curate.cleaning.engines.duck import DuckDb, as_pattern
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.sources.columns import Meant, meant
from vlc_plugin_data.stores import is_local, split
from vlc_plugin_data.tables import SUFFIXES, without_compression

_OPTIONS = {"path", "image", "text", "label", "classes", "root", "format", "delimiter", "group"}
_TEXTS = ("VARCHAR", "VARCHAR[]")
_READABLE = ("", ".gz", ".zst")  # the compressions that DuckDB reads


@dataclass(frozen=True, slots=True)
class Table:
    """A table that an engine can read by itself.

    Attributes:
        path: Where it is.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        columns: Those that are meant.
        root: The folder that relative paths of images belong to, absolute.
        delimiter: Of a CSV.
        several: Whether a row may have several texts.
    """

    path: str
    format: str
    columns: Meant
    root: str
    delimiter: str
    several: bool


class Seen(NamedTuple):
    """A table as DuckDB sees it.

    Attributes:
        path: Where it is.
        format: ``csv``, ``tsv``, ``jsonl`` or ``parquet``.
        delimiter: Of a CSV.
        types: Of its columns, by their names.
    """

    path: str
    format: str
    delimiter: str
    types: dict[str, str]


def look(spec: SourceSpec, duck: DuckDb) -> Seen | None:
    """The table that ``spec`` names; None for other datasets, and for what DuckDB does not read."""
    options = spec.use.options
    if spec.use.use.rpartition("/")[2] != "manifest":
        return None
    path = str(options["path"])
    name = without_compression(path.lower())
    kind = options.get("format") or next((SUFFIXES[end] for end in SUFFIXES if name.endswith(end)), "")
    if not is_local(path) or path.lower().removeprefix(name) not in _READABLE or not Path(path).is_file():
        return None
    delimiter = options.get("delimiter") or ("\t" if kind == "tsv" else ",")
    try:
        return Seen(path, kind, delimiter, _types(duck, path, kind, delimiter))
    except duckdb.Error:
        return None  # the dataset says what is wrong with it, and where


def as_table(seen: Seen, options: dict[str, Any], duck: DuckDb, *, sizes: bool) -> Table | None:
    """A table that an engine reads by itself; None where Python must.

    That is so for images inside the table, for options that choose rows, and, where ``sizes`` are wanted that no column
    has, for images that are files.

    Args:
        seen: The table.
        options: Of the dataset, which name its columns.
        duck: Looks into it.
        sizes: Whether the sizes of images are asked for.
    """
    columns = meant(options, seen.types)
    if columns is None or not set(options) <= _OPTIONS or not _usable(seen.types, columns, seen.format):
        return None
    several = len(columns.texts) > 1 or seen.format == "jsonl" or seen.types[columns.texts[0]] != "VARCHAR"
    root = str(options.get("root") or split(str(Path(seen.path).absolute()))[0])
    root = str(Path(root).absolute()) if is_local(root) else root.rstrip("/")
    found = Table(seen.path, seen.format, columns, root, seen.delimiter, several)
    try:
        return None if sizes and columns.width is None and not _links(duck, found) else found
    except duckdb.Error:
        return None  # as in look


def in_place(engine: Engine, table: Table) -> ir.Table:
    """The pairs of a Parquet table as it is, without ``number`` and ``source``."""
    rows = engine.numbered(table.path)
    columns = table.columns
    known = {"width": columns.width, "height": columns.height}
    sizes = {
        name: ibis.null("int32") if column is None else rows[column].cast("float64").cast("int32")
        for name, column in known.items()
    }
    key = rooted(rows[columns.image].cast("string"), table.root)
    if not table.several:
        text = rows[columns.texts[0]].fill_null("")
        return rows.select(row=rows.file_row_number, part=ibis.literal(0, "int32"), key=key, text=text, **sizes)
    lists = [rows[name] if rows[name].type().is_array() else ibis.array([rows[name]]) for name in columns.texts]
    joined = lists[0]
    for one in lists[1:]:
        joined = joined.concat(one)
    joined = ibis.cases((joined.length() > 0, joined), else_=ibis.array([""]))
    wide = rows.select(row=rows.file_row_number, key=key, text=joined, **sizes)
    long = wide.unnest("text", offset="part")
    return long.select("row", "key", "width", "height", part=long.part.cast("int32"), text=long.text.fill_null(""))


def to_parquet(duck: DuckDb, table: Table, path: Path) -> None:
    """Writes a text table as Parquet, of whose rows :func:`staged` tells the columns.

    Raises:
        duckdb.Error: It is malformed.
    """
    columns = table.columns
    if table.format == "jsonl":
        texts = [_json_list(name) for name in columns.texts]
    else:
        texts = [f"[{_name(name)}]" for name in columns.texts]
    text = (
        f"list_concat({', '.join(texts)})" if len(texts) > 1 else texts[0] if table.several else _name(columns.texts[0])
    )
    image = f"coalesce({_name(columns.image)}, '') AS image"
    sizes = f"{_size(columns.width)} AS width, {_size(columns.height)} AS height"
    duck.copy(f"SELECT {image}, {text} AS text, {sizes} FROM {_reading(table)}", path, what=f"reading {table.path}")


def staged(table: Table, path: Path) -> Table:
    """``table`` as :func:`to_parquet` has written it."""
    columns = Meant("image", ("text",), "width", "height")
    return Table(str(path), "parquet", columns, table.root, "", table.several)


def rooted(key: ir.StringValue, root: str) -> ir.StringValue:
    """Where an image is, whichever folder one looks from; URLs and absolute paths are that already."""
    named = key.fill_null("")
    there = named.contains("://") | named.startswith("/") | (named == "")
    return ibis.cases((there, named), else_=ibis.literal(f"{root.rstrip('/')}/") + named)


def _usable(types: dict[str, str], columns: Meant, kind: str) -> bool:
    """Whether images are named and texts are texts, or lists of them."""
    if kind == "jsonl":
        return types[columns.image] == "VARCHAR"
    return types[columns.image] == "VARCHAR" and all(types[name] in _TEXTS for name in columns.texts)


def _types(duck: DuckDb, path: str, kind: str, delimiter: str) -> dict[str, str]:
    reading = {
        "parquet": f"read_parquet({_text(as_pattern(path))})",
        "jsonl": f"read_json({_text(as_pattern(path))}, format = 'newline_delimited')",
    }.get(kind, f"read_csv({_text(as_pattern(path))}, {_csv(delimiter)}, ignore_errors = true)")
    return {row[0]: row[1] for row in duck.sql.execute(f"DESCRIBE SELECT * FROM {reading}").fetchall()}


def _reading(table: Table) -> str:
    columns = table.columns
    if table.format != "jsonl":
        return f"read_csv({_text(as_pattern(table.path))}, {_csv(table.delimiter)})"
    kinds = {columns.image: "VARCHAR", **dict.fromkeys(columns.texts, "JSON")}
    kinds |= {name: "DOUBLE" for name in (columns.width, columns.height) if name is not None}
    listed = ", ".join(f"{_text(name)}: '{kind}'" for name, kind in kinds.items())
    return f"read_json({_text(as_pattern(table.path))}, format = 'newline_delimited', columns = {{{listed}}})"


def _links(duck: DuckDb, table: Table) -> bool:
    """Whether the first image of the table is a URL: then no size is to be had without fetching them all."""
    reading = f"read_parquet({_text(as_pattern(table.path))})" if table.format == "parquet" else _reading(table)
    image = _name(table.columns.image)
    found = duck.sql.execute(f"SELECT {image} FROM {reading} WHERE {image} <> '' LIMIT 1").fetchall()
    return bool(found) and "://" in str(found[0][0])


def _csv(delimiter: str) -> str:
    return f"header = true, all_varchar = true, delim = {_text(delimiter)}, quote = '\"', escape = '\"'"


def _json_list(column: str) -> str:
    name = _name(column)
    return (
        f"CASE json_type({name}) WHEN 'ARRAY' THEN from_json({name}, '[\"VARCHAR\"]') "
        f"WHEN 'VARCHAR' THEN [{name} ->> '$'] ELSE []::VARCHAR[] END"
    )


def _size(column: str | None) -> str:
    return "NULL::INTEGER" if column is None else f"try_cast(try_cast({_name(column)} AS DOUBLE) AS INTEGER)"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(value: Any) -> str:
    return "'" + str(value).replace("'", "''") + "'"
