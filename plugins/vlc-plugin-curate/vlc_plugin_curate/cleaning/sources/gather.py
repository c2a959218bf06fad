"""All sources to one table of pairs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from vlc_core import DataError, Dataset
from vlc_core.naming import SourceSpec
from vlc_core.options.use import Use
from vlc_core.registry import Registry
from vlc_plugin_curate.cleaning.engines.duck import DuckDb
from vlc_plugin_curate.cleaning.engines.engine import Engine
from vlc_plugin_curate.cleaning.sources import tables, walked
from vlc_plugin_curate.cleaning.sources.columns import named
from vlc_plugin_curate.cleaning.sources.shards import InTars, readable
from vlc_plugin_curate.cleaning.stages import Stages, digest_of
from vlc_plugin_data.stores import is_local, split
from vlc_plugin_data.tars.stat import stat_shards
from vlc_plugin_data.webdataset import WebDataset

_ROOTS = {"folder": "path", "coco": "images", "karpathy": "images"}


@dataclass(slots=True)
class Source:
    """A source that is read.

    Attributes:
        spec: What it is; of tars, without those that cannot be read.
        number: Its place among the sources.
        digest: Of what it holds, as far as files tell.
        table: It as a table that engines read; None where Python reads it.
        bad_shards: What is wrong with shards that are left out.
        cut_shards: Where shards break off of which the samples before that are read.
        located: Whether its images have places of their own, which a list can name.
    """

    spec: SourceSpec
    number: int
    digest: str
    table: tables.Table | None = None
    bad_shards: list[str] = field(default_factory=list)
    cut_shards: list[str] = field(default_factory=list)
    located: bool = True
    _dataset: Dataset | None = field(default=None, init=False, repr=False)

    def open(self, registry: Registry) -> Dataset:
        """The dataset, whose samples are the rows of this source. It is opened once, and says once what is wrong.

        Raises:
            VlcError: It cannot be read.
        """
        if self._dataset is None:
            self._dataset = self._opened(registry)
        return self._dataset

    def _opened(self, registry: Registry) -> Dataset:
        if self.spec.use.use.rpartition("/")[2] != "manifest":
            return self.spec.open(registry)
        return _with(self.spec, group=False).open(registry)


def find(spec: SourceSpec, number: int, duck: DuckDb, *, sizes: bool, texts: bool = True) -> Source:
    """Looks at what ``spec`` names without reading it.

    Args:
        spec: The dataset.
        number: Its place among the sources.
        duck: Looks into tables.
        sizes: Whether the sizes of images are asked for.
        texts: Whether texts are.

    Raises:
        DataError: None of its shards can be read, or no column of a table is one of texts.
    """
    if spec.use.use.rpartition("/")[2] == "webdataset":
        return _of_tars(spec, number)
    seen, table = tables.look(spec, duck), None
    if seen is not None:
        spec = _with(spec, **named(spec.use.options, seen.types))
        if texts and "text" not in spec.use.options:
            raise DataError(
                f"{seen.path}: no column is one of texts by its name: name it by --set text=COLUMN; the columns are "
                f"{', '.join(seen.types)}"
            )
        table = tables.as_table(seen, spec.use.options, duck, sizes=sizes)
    path = spec.use.options.get("path")
    stats = stat_shards([str(path)]) if path is not None else []
    digest = digest_of([spec.block, [list(one) for one in stats if one is not None]])
    return Source(spec, number, digest, table)


def _with(spec: SourceSpec, **options: Any) -> SourceSpec:
    return replace(spec, use=Use.model_validate({"use": spec.use.use, **spec.use.options, **options}))


def _of_tars(spec: SourceSpec, number: int) -> Source:
    found = readable(spec)
    if not found.urls:
        raise DataError(f"none of the {len(found.bad):,} shards of {spec.name} can be read; the first: {found.bad[0]}")
    stats = [list(one) for one in stat_shards(found.urls) if one is not None]
    digest = digest_of([spec.use.options, found.urls, stats])
    return Source(_with(spec, path=found.urls), number, digest, bad_shards=found.bad, cut_shards=found.cut)


def read(
    source: Source, engine: Engine, duck: DuckDb, stages: Stages, registry: Registry, *, workers: int = 0
) -> ir.Table:
    """The pairs of a source, with ``number``, ``source`` and ``reason``; what was read before is not read again.

    Raises:
        VlcError: It cannot be read.
    """
    table = source.table
    if table is not None and table.format != "parquet":
        table = _as_parquet(source, table, duck, stages, registry)
    if table is not None:
        pairs = tables.in_place(engine, table).mutate(reason=ibis.literal(""))
    else:
        folder = stages.folder / f"read-{source.digest[:16]}"
        dataset = source.open(registry)
        walked.read_samples(dataset, folder, name=source.spec.name, locate=_locate(source, dataset), workers=workers)
        pairs = engine.table(folder)
    name = ibis.literal(source.spec.name)
    number = ibis.literal(source.number, "int32")
    columns = ("row", "part", "key", "text", "width", "height", "reason")
    return pairs.select(*columns, number=number, source=name)


def _as_parquet(source: Source, table: tables.Table, duck: DuckDb, stages: Stages, registry: Registry) -> tables.Table:
    """The text table as Parquet.

    Raises:
        DataError: It is malformed.
    """

    def write(path: Path) -> None:
        tables.to_parquet(duck, table, path)

    try:
        stage = stages.make("table", [source.digest, json.dumps(str(table))], write)
    except duckdb.Error as error:
        source.open(registry)  # its own reader knows the line
        first = str(error).strip().splitlines()[0]
        raise DataError(f"{table.path} cannot be read by DuckDB ({first}): write it as Parquet") from error
    return tables.staged(table, stage.path)


def _locate(source: Source, dataset: Dataset) -> walked.Locate:
    options: dict[str, Any] = source.spec.use.options
    kind = source.spec.use.use.rpartition("/")[2]
    if isinstance(dataset, WebDataset):
        return InTars(list(options["path"]), list(dataset.shards))
    root = options.get(_ROOTS[kind]) if kind in _ROOTS else None
    if kind == "manifest" and _named(dataset):
        root = options.get("root") or split(_whole(str(options["path"])))[0]
    if root is None:
        source.located = False
        return walked.by_name
    return walked.within(_whole(str(root)))


def _named(dataset: Dataset) -> bool:
    """Whether images of a manifest are files: rows with images in them are called by their numbers."""
    try:
        return not dataset[0].key.startswith("row-")
    except DataError:
        return True


def _whole(path: str) -> str:
    return str(Path(path).absolute()) if is_local(path) else path
