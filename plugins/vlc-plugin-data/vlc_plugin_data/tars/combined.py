"""The samples of all shards of a source in one file, so that a run starts by mapping it and asks no shard.

Two files of one name: the samples (Arrow, a record batch for each shard), and then what is known of the shards (JSON).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from vlc_plugin_data.tars import kept
from vlc_plugin_data.tars.index import SCHEMA, VERSION, Facts
from vlc_plugin_data.tars.stat import Stat


class Entry(NamedTuple):
    """A shard with what is known of it, or with what is wrong with it."""

    url: str
    facts: Facts | None
    error: str = ""


def file_for(shards: Sequence[tuple[str, Stat]]) -> Path:
    """The file for these shards in this version of theirs."""
    told = json.dumps([VERSION, shards]).encode(errors="surrogatepass")
    return kept.cache_folder() / f"{blake2b(told, digest_size=16).hexdigest()}.arrow"


def read(file: Path) -> list[Entry] | None:
    """The shards in ``file``; None where it has not been written."""
    try:
        rows = json.loads(file.with_suffix(".json").read_bytes())
        entries = [Entry(url, None if facts is None else Facts.from_json(facts), error) for url, facts, error in rows]
    except (OSError, ValueError, TypeError):
        return None
    return entries if file.exists() else None


def write(file: Path, shards: Iterable[tuple[Entry, pa.Table | None]]) -> list[Entry]:
    """Writes the samples of ``shards`` into ``file`` while they come; those of shards with an error are left out."""
    entries = []
    with (
        kept.whole(file) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SCHEMA) as writer,
    ):
        for entry, table in shards:
            entries.append(entry)
            if table is not None:
                writer.write_batch(_one_batch(table))
    rows = [(url, None if facts is None else facts.as_json(), error) for url, facts, error in entries]
    kept.write_whole(file.with_suffix(".json"), json.dumps(rows).encode(errors="surrogatepass"))
    return entries


def open_samples(file: Path) -> pa.Table:
    """The samples of all shards, mapped: a chunk for each shard."""
    return pa.ipc.open_file(pa.memory_map(str(file))).read_all()


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Lets one process of this machine at a time in: the ranks of a run need not all read the same headers."""
    import fcntl

    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.replace_schema_metadata(None).combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=SCHEMA)
