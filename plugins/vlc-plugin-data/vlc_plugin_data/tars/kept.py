"""Where indexes are kept: beside their shards, or in a cache folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from vlc_plugin_data.retries import patiently
from vlc_plugin_data.stores import is_local, open_store
from vlc_plugin_data.tars.index import SCHEMA, Facts
from vlc_plugin_data.tars.stat import Stat

SUFFIX = ".vlc-index"
_FACTS = b"vlc"
_RANDOM = 8  # characters that tempfile puts behind a name


def cache_folder() -> Path:
    """``$VLC_CACHE/shards``, or ``vlc/shards`` in the user's cache folder; made where it is missing.

    Where neither can be written, a folder among the temporary files.
    """
    given = os.environ.get("VLC_CACHE")
    home = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vlc"
    for folder in (home / "shards", Path(tempfile.gettempdir()) / f"vlc-{os.getuid()}" / "shards"):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if _writable(folder):
                return folder
    return Path(tempfile.mkdtemp(prefix="vlc-shards-"))


class Kept(NamedTuple):
    """An index: the samples of a shard, what is known of it, and where this is kept."""

    table: pa.Table
    facts: Facts
    place: str


def find(url: str, stat: Stat) -> Kept | None:
    """The index of the shard at ``url``, where one is kept that fits it as it is now."""
    for place in (url + SUFFIX, str(_cached(url))):
        found = _read(place)
        if found is not None and (found.facts.size, found.facts.tag) == stat:
            return found
    return None


def keep(url: str, table: pa.Table, facts: Facts, *, beside: bool = False) -> str:
    """Writes an index, and says where.

    Args:
        url: Of the shard.
        table: Its samples.
        facts: What is known of it.
        beside: Whether it may be written into a store; a local folder that can be written gets it anyway.
    """
    data = _as_bytes(table, facts)
    place = url + SUFFIX
    with contextlib.suppress(OSError, NotImplementedError, ValueError):
        if is_local(url):
            if _writable(Path(url).absolute().parent):
                write_whole(Path(place), data)
                return place
        elif beside and "::" not in url and not url.startswith(("http://", "https://")):
            file_system, path = open_store(place)
            patiently(lambda: file_system.pipe_file(path, data), place)
            return place
    cached = _cached(url)
    write_whole(cached, data)
    return str(cached)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file such that it is there as a whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, which takes its place at the end."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}-")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, *patterns: str) -> None:
    """Removes what :func:`whole` left where it was killed; nobody else may be writing.

    Args:
        folder: Where it wrote.
        patterns: What files of its own are called, as in a shell.

    Raises:
        OSError: A file cannot be removed.
    """
    for pattern in patterns:
        for left in folder.glob(f".{pattern}-{'?' * _RANDOM}"):
            left.unlink(missing_ok=True)


def _cached(url: str) -> Path:
    named = os.path.abspath(url) if is_local(url) else url
    return cache_folder() / f"{blake2b(named.encode(errors='surrogatepass'), digest_size=16).hexdigest()}{SUFFIX}"


def _writable(folder: Path) -> bool:
    """Whether files may be made in it: by its mode too, which the superuser could overrule."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def _as_bytes(table: pa.Table, facts: Facts) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA.with_metadata({_FACTS: facts.as_json()})) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _read(place: str) -> Kept | None:
    """None where there is no index, or none that this version can use."""
    data = _bytes(place)
    if data is None:
        return None
    try:
        reader = pa.ipc.open_file(pa.BufferReader(data))
        facts = Facts.from_json((reader.schema.metadata or {}).get(_FACTS, b""))
        if facts is None or reader.schema.remove_metadata() != SCHEMA:
            return None
        table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return Kept(table, facts, place) if len(table) == facts.samples else None


def _bytes(place: str) -> Any:
    try:
        if is_local(place):
            return Path(place).read_bytes()
        file_system, path = open_store(place)
        return patiently(lambda: file_system.cat_file(path), place)
    except (OSError, KeyError, ValueError):
        return None
